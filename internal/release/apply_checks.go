// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// checkChart proves that this is the chart that was planned.
func (a *applyRun) checkChart() error {
	if want := a.options.PlannedChartDigest; want != "" && want != a.spec.Chart.Digest {
		return &PlanMismatchError{Chart: fmt.Sprintf("%s %s has the digest %s, planned was %s.",
			a.spec.Chart.Name, a.spec.Chart.Version, a.spec.Chart.Digest, want)}
	}
	return nil
}

// lookAt reads what is there.
func (a *applyRun) lookAt(ctx context.Context) error {
	seen, revisions, found, err := observe(ctx, a.target)
	if err != nil {
		return err
	}
	a.found, a.revisions = found, revisions
	a.outcome.Revision, a.outcome.Status = seen.Revision, seen.Status
	return nil
}

// checkOwner returns why the release is not this resource's, nil where it is. It tells our releases from others: by the record, and where that was lost by the labels that we give revisions.
// On an update the state itself says that the release is ours, for example after an import.
func (a *applyRun) checkOwner() error {
	update := a.options.ClusterUID != ""
	if a.found.Exists() || update {
		return a.found.Check(record.Claim{InstanceID: a.options.InstanceID, Create: !update, MadeInThisRun: a.options.MadeInThisRun})
	}
	return checkUnrecorded(a.target, a.revisions)
}

// checkUnrecorded refuses a release without a record that does not carry our labels either.
func checkUnrecorded(target Target, revisions []revision) error {
	if len(revisions) == 0 {
		return nil
	}
	last := revisions[len(revisions)-1]
	if last.status == helmrelease.StatusUninstalled || last.byHandle(target.Handle) {
		return nil
	}
	return &ownership.Error{Release: target.Name, Namespace: target.Handle.Namespace, Revision: last.number, Status: last.status.String(), Advice: fmt.Sprintf(
		"Import it (id %s/%s/%s), give this release another name, or uninstall the other one.",
		target.Handle.Cluster.Context, target.Handle.Namespace, target.Name)}
}

// renderAsPlanned renders for the operation that will really run, and compares with what the plan showed.
func (a *applyRun) renderAsPlanned(s situation, capabilities *cluster.Capabilities) error {
	options := render.Options{
		ReleaseName:  a.target.Name,
		Namespace:    a.target.Handle.Namespace,
		Install:      s.installs(),
		Revision:     1,
		Capabilities: capabilities,
	}
	if !options.Install {
		options.Revision = s.next()
	}
	if a.options.ClusterUID == "" {
		options.CapabilitiesMayChange, options.OperationMayChange = true, true
	}
	a.op.Doing("rendering the chart")
	rendering, err := render.Chart(a.op.Context(), a.spec, options)
	if err != nil {
		return err
	}
	a.rendering, a.outcome.Rendering = rendering, rendering
	for _, o := range rendering.Raw.Objects {
		a.session.secrets.AddObject(o.Object)
	}
	a.session.secrets.Complete()
	if a.options.Planned == nil {
		return nil
	}
	different := rendering.Diverges(a.options.Planned)
	if len(different) == 0 {
		return nil
	}
	mismatch := &PlanMismatchError{}
	for _, d := range different {
		mismatch.Differences = append(mismatch.Differences, d.String())
	}
	return mismatch
}

// unchanged reports that the deployed revision has, byte for byte, what would be installed. The templates are asked as they
// were then: with its revision number, and as the install or upgrade that it was.
func (a *applyRun) unchanged(s situation, capabilities *cluster.Capabilities) (bool, error) {
	if s.condition != deployed || s.last.status != helmrelease.StatusDeployed {
		return false, nil
	}
	stored, err := a.session.stored(s.last.number)
	if err != nil {
		return false, err
	}
	for _, install := range []bool{false, true} {
		revision := s.last.number
		if install {
			revision = 1
		}
		chart, err := a.spec.Chart.Load()
		if err != nil {
			return false, fmt.Errorf("loading chart %s: %w", a.spec.Chart.Name, err)
		}
		raw, err := render.Once(a.op.Context(), chart, render.Input{
			Values:       a.values(),
			ReleaseName:  a.target.Name,
			Namespace:    a.target.Handle.Namespace,
			Install:      install,
			Revision:     revision,
			Capabilities: render.HelmCapabilities(capabilities),
			Perturbed:    true,
		})
		if err != nil {
			// It renders for the operation that is due, so there is a difference between the two.
			continue
		}
		if raw.Manifest == stored.Manifest && sameHooks(raw.Hooks, stored.Hooks) {
			return true, nil
		}
	}
	return false, nil
}

func sameHooks(a, b []*helmrelease.Hook) bool {
	texts := func(hooks []*helmrelease.Hook) []string {
		var out []string
		for _, h := range hooks {
			out = append(out, h.Path+"\n"+h.Manifest)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(texts(a), texts(b))
}

// values are all layers merged, for Helm to change as it likes.
func (a *applyRun) values() map[string]any {
	return object.DeepCopy(values.Merge(a.spec.Values, a.spec.Sensitive, a.spec.WriteOnly))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// checkPlace proves that this is the cluster, the namespace and the chart that were meant.
func (a *application) checkPlace(ctx context.Context, target Target) error {
	uid, err := target.Cluster.UID(ctx)
	if err != nil {
		return err
	}
	if err := target.Cluster.RequireUID(ctx, a.options.ClusterUID); err != nil {
		return err
	}
	a.outcome.ClusterUID = uid
	if a.outcome.NamespaceUID, err = environment.Check(ctx, target.Cluster, target.Handle); err != nil {
		return err
	}
	if want := a.options.PlannedChartDigest; want != "" && want != a.spec.Chart.Digest {
		return &PlanMismatchError{Chart: fmt.Sprintf("%s %s has the digest %s, planned was %s.",
			a.spec.Chart.Name, a.spec.Chart.Version, a.spec.Chart.Digest, want)}
	}
	return nil
}

// lookAt reads what is there, and refuses what is not ours.
func (a *application) lookAt(ctx context.Context, target Target) error {
	seen, revisions, found, err := observe(ctx, target)
	if err != nil {
		return err
	}
	a.found, a.revisions = found, revisions
	a.outcome.Revision, a.outcome.Status = seen.Revision, seen.Status
	if err := found.checkWritable(target); err != nil {
		return err
	}
	return a.checkOwner(target)
}

// checkOwner tells our releases from others: by the record, and where that was lost by the labels that we give revisions.
// On an update the state itself says that the release is ours, for example after an import.
func (a *application) checkOwner(target Target) error {
	update := a.options.ClusterUID != ""
	if record := a.found.record; record != nil {
		if !update && a.madeInThisRun(record) {
			return &ownership.Error{Release: target.Name, Namespace: target.Handle.Namespace,
				Reason: "Another resource of this Terraform run has just installed it: two slipway_release have the same name in one namespace. Nothing was changed.",
				Advice: "Give one of them another name; without one a release is called like its chart."}
		}
		if update && record.InstanceID != a.options.InstanceID {
			return &ownership.Error{Release: target.Name, Namespace: target.Handle.Namespace, Reason: fmt.Sprintf(
				"Its record carries the instance id %s and this state has %s: another Terraform state has taken the release over. Nothing was changed.",
				record.InstanceID, a.options.InstanceID),
				Advice: "Remove it from the state that should not manage it (a removed block with destroy = false, or terraform state rm)."}
		}
		return nil
	}
	if update {
		return nil
	}
	return checkUnrecorded(target, a.revisions)
}

// madeInThisRun reports that the record is of another create of this Terraform run. What an earlier run left is taken over, but
// no run creates one resource twice.
func (a *application) madeInThisRun(record *Record) bool {
	return a.options.MadeInThisRun != nil && record.InstanceID != a.options.InstanceID && a.options.MadeInThisRun(record.InstanceID)
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
func (a *application) renderAsPlanned(s situation, capabilities *cluster.Capabilities) error {
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
	a.doing("rendering the chart")
	rendering, err := render.Chart(a.ctx, a.spec, options)
	if err != nil {
		return err
	}
	a.rendering, a.outcome.Rendering = rendering, rendering
	for _, o := range rendering.Raw.Objects {
		a.secrets.AddObject(o.Object)
	}
	a.secrets.Complete()
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
func (a *application) unchanged(s situation, capabilities *cluster.Capabilities) (bool, error) {
	if s.condition != deployed || s.last.status != helmrelease.StatusDeployed {
		return false, nil
	}
	stored, err := a.helm.Releases.Get(a.target.Name, s.last.number)
	if err != nil {
		return false, a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", s.last.number, a.target.Name, err))
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
		raw, err := render.Once(a.ctx, chart, render.Input{
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
func (a *application) values() map[string]any {
	return object.DeepCopy(values.Merge(a.spec.Values, a.spec.Sensitive, a.spec.WriteOnly))
}

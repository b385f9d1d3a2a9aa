// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// content is what an apply brings live, compared with the plan and with what is deployed.
type content struct{ run *applyRun }

// checkChart proves that this is the chart that was planned.
func (c content) checkChart() error {
	if want := c.run.options.PlannedChartDigest; want != "" && want != c.run.spec.Chart.Digest {
		return &PlanMismatchError{Chart: fmt.Sprintf("%s %s has the digest %s, planned was %s.",
			c.run.spec.Chart.Name, c.run.spec.Chart.Version, c.run.spec.Chart.Digest, want)}
	}
	return nil
}

// render renders for the operation that will really run, and compares with what the plan showed.
func (c content) render(s situation, capabilities *cluster.Capabilities) error {
	options := render.Options{
		ReleaseName:  c.run.target.Name,
		Namespace:    c.run.target.Handle.Namespace,
		Install:      s.installs(),
		Revision:     1,
		Capabilities: capabilities,
	}
	if !options.Install {
		options.Revision = s.next()
	}
	if c.run.options.ClusterUID == "" {
		options.CapabilitiesMayChange, options.OperationMayChange = true, true
	}
	c.run.op.Doing("rendering the chart")
	rendering, err := render.Chart(c.run.op.Context(), c.run.spec, options)
	if err != nil {
		return err
	}
	c.run.rendering, c.run.outcome.Rendering = rendering, rendering
	// What the chart has made of the secrets is one too.
	c.run.session.secrets.Join(rendering.Secrets)
	c.run.session.secrets.Complete()
	if c.run.options.Planned == nil {
		return nil
	}
	different := rendering.Diverges(c.run.options.Planned)
	if len(different) == 0 {
		return nil
	}
	mismatch := &PlanMismatchError{}
	for _, d := range different {
		mismatch.Differences = append(mismatch.Differences, d.String())
	}
	return mismatch
}

// deployed reports that the deployed revision has, byte for byte, what would be installed. The templates are asked as they
// were then: with its revision number, and as the install or upgrade that it was.
func (c content) deployed(s situation, capabilities *cluster.Capabilities) (bool, error) {
	if s.condition != deployed || s.last.status != helmrelease.StatusDeployed {
		return false, nil
	}
	stored, err := c.run.session.stored(s.last.number)
	if err != nil {
		return false, err
	}
	for _, install := range []bool{false, true} {
		revision := s.last.number
		if install {
			revision = 1
		}
		chart, err := c.run.spec.Chart.Load()
		if err != nil {
			return false, fmt.Errorf("loading chart %s: %w", c.run.spec.Chart.Name, err)
		}
		raw, err := render.Once(c.run.op.Context(), chart, render.Input{
			Values:       c.values(),
			ReleaseName:  c.run.target.Name,
			Namespace:    c.run.target.Handle.Namespace,
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
func (c content) values() map[string]any {
	return object.DeepCopy(values.Merge(c.run.spec.Values, c.run.spec.Sensitive, c.run.spec.WriteOnly))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/reach"
)

// A skeleton is a rendering of the templates without what can depend on a secret, found without rendering. What is equal in it and in
// the real rendering is the chart's own text, or made of public values alone.

// holes are what stands for the output that is left out, in the order in which they are tried: one of them may make a text that is
// no YAML.
var holes = []string{"slipway-left-out", ""}

// hideReachable adds the skeleton to the renderings with which the real one is compared. If it is no YAML, everything is hidden that
// the templates in question print.
func (r *renderer) hideReachable(ctx context.Context, m *masks, p *perturbation) error {
	found := reach.Analyze(chartsOf(r.raw.chart, nil, importsValues(r.raw.chart)), p.openPaths())
	var names []string
	visitTemplates(r.raw.chart, func(name string, _ *helmchart.File) {
		if found.Reaches(name) {
			names = append(names, name)
		}
	})
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return nil
	}
	whole := map[string]bool{}
	for _, name := range names {
		if _, ok := found.Skeleton(name, ""); !ok {
			whole[name] = true
		}
	}
	for _, hole := range holes {
		skeleton, err := r.skeleton(ctx, found, names, hole)
		if err != nil {
			return err
		}
		if m.skeleton = skeleton; skeleton != nil {
			break
		}
	}
	if m.skeleton == nil {
		for _, name := range names {
			whole[name] = true
		}
	}
	m.hidden = whole
	m.unproven = p.findings(names)
	return nil
}

// skeleton renders with the named templates reduced; nil if the result is not readable.
func (r *renderer) skeleton(ctx context.Context, found *reach.Analysis, names []string, hole string) (*Raw, error) {
	in := r.in
	in.rewrite = func(ch *helmchart.Chart) {
		visitCharts(ch, func(c *helmchart.Chart) {
			// An alias of a subchart shares its files.
			templates := slices.Clone(c.Templates)
			for i, t := range templates {
				if t == nil {
					continue
				}
				name := path.Join(c.ChartFullPath(), t.Name)
				if !slices.Contains(names, name) {
					continue
				}
				if text, ok := found.Skeleton(name, hole); ok {
					same := *t
					same.Data = []byte(text)
					templates[i] = &same
				}
			}
			c.Templates = templates
		})
	}
	return r.perturbed(ctx, in)
}

func visitCharts(ch *helmchart.Chart, visit func(*helmchart.Chart)) {
	visit(ch)
	for _, dependency := range ch.Dependencies() {
		visitCharts(dependency, visit)
	}
}

func visitTemplates(ch *helmchart.Chart, visit func(name string, file *helmchart.File)) {
	visitCharts(ch, func(c *helmchart.Chart) {
		for _, t := range c.Templates {
			if t != nil {
				visit(path.Join(c.ChartFullPath(), t.Name), t)
			}
		}
	})
}

// chartsOf are the charts of a tree as package reach takes them.
func chartsOf(ch *helmchart.Chart, base []string, imports bool) []reach.Chart {
	out := reach.Chart{Base: base, Imports: imports, Parent: len(ch.Dependencies()) > 0}
	for _, t := range ch.Templates {
		if t == nil {
			continue
		}
		out.Files = append(out.Files, reach.File{
			Name: path.Join(ch.ChartFullPath(), t.Name), Text: string(t.Data),
			Partial: strings.HasPrefix(path.Base(t.Name), "_") || strings.EqualFold(ch.Metadata.Type, "library"),
		})
	}
	charts := []reach.Chart{out}
	for _, dependency := range ch.Dependencies() {
		charts = append(charts, chartsOf(dependency, append(slices.Clip(base), dependency.Name()), imports)...)
	}
	return charts
}

// importsValues reports a chart in the tree that takes values from its subcharts, or hands them up.
func importsValues(ch *helmchart.Chart) bool {
	found := false
	visitCharts(ch, func(c *helmchart.Chart) {
		for _, d := range c.Metadata.Dependencies {
			found = found || d != nil && len(d.ImportValues) > 0
		}
	})
	return found
}

// findings say for each template what is masked, why, and what helps.
func (p *perturbation) findings(names []string) []Finding {
	reason := ""
	var refused *TemplateError
	if errors.As(p.refused, &refused) && refused.File != "" {
		reason = fmt.Sprintf(" (%s:%d refuses it)", refused.File, refused.Line)
	}
	var out []Finding
	for _, name := range names {
		out = append(out, Finding{ruleSecretValidated, object.Key(name), fmt.Sprintf("everything in it that can depend on %s is masked, "+
			"since the chart does not render with another value in its place%s, and so nothing shows what depends on it. Leave out the check in "+
			"the template, or move it to values.schema.json, or give the chart the name of a Secret instead of the value",
			p.openNames(), reason)})
	}
	return out
}

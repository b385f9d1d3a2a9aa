// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/purity"
)

// Input is one set of everything that templates can see.
type Input struct {
	Values       map[string]any
	ReleaseName  string
	Namespace    string
	Install      bool
	Revision     int
	Capabilities *chartutil.Capabilities
	// anyCluster says that the cluster is not known, so that a chart's kubeVersion cannot be checked.
	anyCluster bool
	// Perturbed renderings have inputs that nobody gave: neither the schema nor the chart's kubeVersion is checked.
	Perturbed bool
	// rewrite changes the chart after the values have switched subcharts off. It may be nil.
	rewrite func(*helmchart.Chart)
}

// Raw is what Helm would store, with secrets in clear. It stays inside this package.
type Raw struct {
	// Manifest is the text of all objects but hooks, as Helm stores it.
	Manifest string
	Hooks    []*helmrelease.Hook
	Notes    string
	// Objects are those of manifest in its order, then the hooks.
	Objects []object.Rendered
	// chart is as the engine saw it: without the subcharts that the values switch off.
	chart *helmchart.Chart
	// values are what the templates saw as .Values, with the chart's defaults.
	values map[string]any
}

// Once renders a chart, which it takes over and changes, in the steps of Helm's install and upgrade, but with an
// engine that has no connection: lookup finds nothing. Templates that do not end, or take too much, are a *TemplateError.
func Once(ctx context.Context, ch *helmchart.Chart, in Input) (*Raw, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := tryOut(ctx, ch, in); err != nil {
		return nil, err
	}
	return within(ctx, ch.Name(), func() (*Raw, error) { return renderOnce(ch, in) })
}

func renderOnce(ch *helmchart.Chart, in Input) (*Raw, error) {
	name := ch.Name()
	values := object.DeepCopy(in.Values)
	if err := chartutil.ProcessDependenciesWithMerge(ch, values); err != nil {
		return nil, &TemplateError{Chart: name, File: path.Join(name, "Chart.yaml"), Cause: "its dependencies cannot be processed: " +
			err.Error()}
	}
	if in.rewrite != nil {
		in.rewrite(ch)
	}
	scope, err := chartutil.ToRenderValuesWithSchemaValidation(ch, values, chartutil.ReleaseOptions{
		Name:      in.ReleaseName,
		Namespace: in.Namespace,
		Revision:  in.Revision,
		IsInstall: in.Install,
		IsUpgrade: !in.Install,
	}, in.Capabilities, true)
	if err != nil {
		return nil, &TemplateError{Chart: name, File: path.Join(name, "values.yaml"), Cause: "the values cannot be merged: " + err.Error()}
	}
	merged, _ := scope["Values"].(chartutil.Values)
	if !in.Perturbed {
		if err := chartutil.ValidateAgainstSchema(ch, merged); err != nil {
			return nil, &SchemaError{Chart: name, Problems: strings.TrimSpace(err.Error())}
		}
		if want := ch.Metadata.KubeVersion; want != "" && !in.anyCluster && !chartutil.IsCompatibleRange(want,
			in.Capabilities.KubeVersion.String()) {
			return nil, &TemplateError{Chart: name, File: path.Join(name, "Chart.yaml"), Cause: fmt.Sprintf(
				"the chart requires Kubernetes %s, and the cluster is %s", want, in.Capabilities.KubeVersion.String())}
		}
	}
	files, err := engine.Engine{}.Render(ch, scope)
	if err != nil {
		return nil, templateError(name, err)
	}
	out := &Raw{chart: ch, values: merged}
	size := 0
	for file, text := range files {
		if size += len(text); size > maxText {
			return nil, errTooMuchText(name)
		}
		if strings.HasSuffix(file, purity.NotesFile) {
			if file == path.Join(ch.Name(), "templates", purity.NotesFile) {
				out.Notes = text
			}
			delete(files, file)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, templateError(name, err)
	}
	out.Hooks = hooks
	var b strings.Builder
	for _, m := range manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	out.Manifest = b.String()
	if err := out.Parse(in.Namespace); err != nil {
		return nil, err
	}
	return out, nil
}

// Parse fills objects from manifest and hooks. A hook may carry the name of another hook or of an ordinary object, since
// they need not live at the same time; its key then says so.
func (r *Raw) Parse(namespace string) error {
	objects, err := object.ParseManifest(r.Manifest, namespace)
	if err != nil {
		return err
	}
	taken := make(map[object.Key]bool, len(objects)+len(r.Hooks))
	for _, o := range objects {
		taken[o.Key] = true
	}
	for _, hook := range r.Hooks {
		parsed, err := object.ParseManifest("---\n# Source: "+hook.Path+"\n"+hook.Manifest+"\n", namespace)
		if err != nil {
			return err
		}
		for _, o := range parsed {
			o.Hook = true
			key := o.Key
			for n := 2; taken[o.Key]; n++ {
				o.Key = object.Key(fmt.Sprintf("%s (hook %d)", key, n))
			}
			taken[o.Key] = true
			objects = append(objects, o)
		}
	}
	r.Objects = objects
	return nil
}

// mentions reports whether a template, or a text that may be given to tpl, matches.
func (r *Raw) mentions(pattern *regexp.Regexp) bool {
	found := false
	purity.VisitCharts(r.chart, func(c *helmchart.Chart) {
		for _, files := range [][]*helmchart.File{c.Templates, c.Files} {
			for _, f := range files {
				found = found || (f != nil && pattern.Match(f.Data))
			}
		}
	})
	purity.EachString(r.values, func(s string) {
		found = found || (strings.Contains(s, "{{") && pattern.MatchString(s))
	})
	return found
}

// askedAPIVersions are the literals of .Capabilities.APIVersions.Has.
func (r *Raw) askedAPIVersions() chartutil.VersionSet {
	var out chartutil.VersionSet
	purity.VisitCharts(r.chart, func(c *helmchart.Chart) {
		for _, t := range c.Templates {
			if t == nil {
				continue
			}
			for _, m := range apiVersionLiteral.FindAllSubmatch(t.Data, -1) {
				out = append(out, string(m[1]))
			}
		}
	})
	return out
}

// HelmCapabilities is what templates see as .Capabilities; nil means the oldest Kubernetes that Slipway supports, with the
// APIs that Helm knows (Helm's own default version is that of its build, or v1.20.0).
func HelmCapabilities(c *cluster.Capabilities) *chartutil.Capabilities {
	if c == nil {
		return &chartutil.Capabilities{
			KubeVersion: chartutil.KubeVersion{Version: oldestKubernetes, Major: "1", Minor: "31"},
			APIVersions: slices.Clone(chartutil.DefaultVersionSet),
			HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
		}
	}
	return &chartutil.Capabilities{
		APIVersions: append(chartutil.VersionSet(nil), c.APIVersions...),
		KubeVersion: chartutil.KubeVersion{
			Version: c.Version.GitVersion,
			Major:   c.Version.Major,
			Minor:   c.Version.Minor,
		},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}
}

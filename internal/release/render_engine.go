// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"path"
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

// renderInput is one set of everything that templates can see.
type renderInput struct {
	values       map[string]any
	releaseName  string
	namespace    string
	install      bool
	revision     int
	capabilities *chartutil.Capabilities
	// anyCluster says that the cluster is not known, so that a chart's kubeVersion cannot be checked.
	anyCluster bool
	// perturbed renderings stand for inputs that nobody gave: neither the schema nor the chart's kubeVersion judges them.
	perturbed bool
}

// rawRendering is what Helm would store, with secrets in clear. It stays inside this package.
type rawRendering struct {
	// manifest is the text of all objects but hooks, as it stands in the release's record.
	manifest string
	hooks    []*helmrelease.Hook
	notes    string
	// objects are those of manifest in its order, then the hooks.
	objects []object.Rendered
	// chart is as the engine saw it: without the subcharts that the values switch off.
	chart *helmchart.Chart
	// values are what the templates saw as .Values, with the chart's defaults.
	values map[string]any
}

// renderOnce renders a chart, which it takes over and changes, in the steps of Helm's install and upgrade, but with an
// engine that has no connection: lookup finds nothing.
func renderOnce(ctx context.Context, ch *helmchart.Chart, in renderInput) (*rawRendering, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	name := ch.Name()
	values := object.DeepCopy(in.values)
	if err := chartutil.ProcessDependenciesWithMerge(ch, values); err != nil {
		return nil, &TemplateError{Chart: name, File: path.Join(name, "Chart.yaml"), Cause: "its dependencies cannot be processed: " + err.Error()}
	}
	scope, err := chartutil.ToRenderValuesWithSchemaValidation(ch, values, chartutil.ReleaseOptions{
		Name:      in.releaseName,
		Namespace: in.namespace,
		Revision:  in.revision,
		IsInstall: in.install,
		IsUpgrade: !in.install,
	}, in.capabilities, true)
	if err != nil {
		return nil, &TemplateError{Chart: name, File: path.Join(name, "values.yaml"), Cause: "the values cannot be merged: " + err.Error()}
	}
	merged, _ := scope["Values"].(chartutil.Values)
	if !in.perturbed {
		if err := chartutil.ValidateAgainstSchema(ch, merged); err != nil {
			return nil, &SchemaError{Chart: name, Problems: strings.TrimSpace(err.Error())}
		}
		if want := ch.Metadata.KubeVersion; want != "" && !in.anyCluster && !chartutil.IsCompatibleRange(want, in.capabilities.KubeVersion.String()) {
			return nil, &TemplateError{Chart: name, File: path.Join(name, "Chart.yaml"), Cause: fmt.Sprintf(
				"the chart requires Kubernetes %s, and the cluster is %s", want, in.capabilities.KubeVersion.String())}
		}
	}
	files, err := engine.Engine{}.Render(ch, scope)
	if err != nil {
		return nil, templateError(name, err)
	}
	out := &rawRendering{chart: ch, values: merged}
	for file, text := range files {
		if strings.HasSuffix(file, purity.NotesFile) {
			if file == path.Join(ch.Name(), "templates", purity.NotesFile) {
				out.notes = text
			}
			delete(files, file)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, templateError(name, err)
	}
	out.hooks = hooks
	var b strings.Builder
	for _, m := range manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	out.manifest = b.String()
	if err := out.parse(in.namespace); err != nil {
		return nil, err
	}
	return out, nil
}

// parse fills objects from manifest and hooks. A hook may carry the name of another hook or of an ordinary object, since
// they need not live at the same time; its key then says so.
func (r *rawRendering) parse(namespace string) error {
	objects, err := object.ParseManifest(r.manifest, namespace)
	if err != nil {
		return err
	}
	taken := make(map[object.Key]bool, len(objects)+len(r.hooks))
	for _, o := range objects {
		taken[o.Key] = true
	}
	for _, hook := range r.hooks {
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
	r.objects = objects
	return nil
}

// helmCapabilities is what templates see as .Capabilities; nil stands for the oldest Kubernetes that Slipway supports, with the
// APIs that Helm knows (Helm's own default version is that of its build, or v1.20.0).
func helmCapabilities(c *cluster.Capabilities) *chartutil.Capabilities {
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// kindCRD is the kind of the objects of which a crds folder is meant to consist.
const kindCRD = "CustomResourceDefinition"

// annotationWrittenBy says on a CustomResourceDefinition which release wrote it last, and from which chart: definitions belong to
// the whole cluster, and several clients' releases may bring them.
const annotationWrittenBy = "slipway.dev/written-by"

// definition is one CustomResourceDefinition of a chart's crds folder.
type definition struct {
	name   string
	object map[string]any
}

// definitions reads the crds folders of a chart. Other objects in them are left out; the apply makes them where they do not exist.
func (s Spec) definitions() ([]definition, error) {
	chart, err := s.Chart.Load()
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", s.Chart.Name, err)
	}
	var out []definition
	for _, file := range chart.CRDObjects() {
		objects, err := object.ParseManifest(string(file.File.Data), "")
		if err != nil {
			return nil, fmt.Errorf("reading the CRDs of %s: %w", file.Filename, err)
		}
		for _, o := range objects {
			if o.Object["kind"] == kindCRD {
				name, _ := object.NameOf(o.Object)
				out = append(out, definition{name: name, object: o.Object})
			}
		}
	}
	return out, nil
}

// Definitions says of each CustomResourceDefinition that the apply writes which versions it has, and a digest of its content:
// "widgets.example.com" → "v1alpha1 (not served), v1 (stored); c1:sha256:…". It is empty unless spec.ReplaceCRDs is set, since
// definitions that exist are not written otherwise.
func Definitions(spec Spec) (map[string]string, error) {
	if !spec.ReplaceCRDs {
		return nil, nil
	}
	all, err := spec.definitions()
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(all))
	for _, d := range all {
		text, err := object.Canonical(d.object)
		if err != nil {
			return nil, fmt.Errorf("reading CustomResourceDefinition %s: %w", d.name, err)
		}
		out[d.name] = versionsText(d.object) + "; " + object.Digest(map[object.Key]string{"": text})
	}
	return out, nil
}

// crdVersion is one version of a definition.
type crdVersion struct {
	name           string
	served, stored bool
}

func versionsOf(crd map[string]any) []crdVersion {
	found, _, _ := unstructured.NestedFieldNoCopy(crd, "spec", "versions")
	list, _ := found.([]any)
	var out []crdVersion
	for _, v := range list {
		version, _ := v.(map[string]any)
		name, _ := version["name"].(string)
		served, _ := version["served"].(bool)
		stored, _ := version["storage"].(bool)
		out = append(out, crdVersion{name, served, stored})
	}
	return out
}

func versionsText(crd map[string]any) string {
	var texts []string
	for _, v := range versionsOf(crd) {
		text := v.name
		switch {
		case v.stored && !v.served:
			text += " (stored, not served)"
		case v.stored:
			text += " (stored)"
		case !v.served:
			text += " (not served)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// replacement is what a live definition is replaced with: the chart's spec, with the certificate that a controller injected, and
// the chart's labels and annotations beside those of others.
func replacement(d definition, live *unstructured.Unstructured, writer string) *unstructured.Unstructured {
	next := live.DeepCopy()
	wanted := object.DeepCopy(d.object)
	next.Object["spec"] = wanted["spec"]
	client := []string{"spec", "conversion", "webhook", "clientConfig"}
	injected, there, err := unstructured.NestedString(live.Object, append(slices.Clone(client), "caBundle")...)
	if webhook, _, _ := unstructured.NestedFieldNoCopy(next.Object, client...); err == nil && there {
		if into, ok := webhook.(map[string]any); ok {
			into["caBundle"] = injected
		}
	}
	rendered := unstructured.Unstructured{Object: wanted}
	next.SetLabels(mergedLabels(live.GetLabels(), rendered.GetLabels()))
	next.SetAnnotations(mergedLabels(live.GetAnnotations(), rendered.GetAnnotations(), map[string]string{annotationWrittenBy: writer}))
	return next
}

func mergedLabels(layers ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, layer := range layers {
		for k, v := range layer {
			out[k] = v
		}
	}
	return out
}

// writerOf names a release and its chart in annotationWrittenBy: "client-a/prod/app widgets 1.2.0".
func writerOf(target ownership.Release, spec Spec) string {
	return fmt.Sprintf("%s/%s %s %s", target.Handle.Name(), target.Name, spec.Chart.Name, spec.Chart.Version)
}

// whyNotReplaced says why a live definition must not be replaced; empty where it may.
func whyNotReplaced(d definition, live *unstructured.Unstructured) string {
	if name := live.GetAnnotations()[ownership.AnnotationReleaseName]; name != "" {
		return fmt.Sprintf("the definition exists and belongs to the Helm release %s in namespace %s, which renders it as a template. "+
			"Take it out of one of the two charts, or set crds = \"create\"", name, live.GetAnnotations()[ownership.AnnotationReleaseNamespace])
	}
	stored, _, _ := unstructured.NestedStringSlice(live.Object, "status", "storedVersions")
	var lost []string
	for _, version := range stored {
		if !slices.ContainsFunc(versionsOf(d.object), func(v crdVersion) bool { return v.name == version }) {
			lost = append(lost, version)
		}
	}
	if len(lost) == 0 {
		return ""
	}
	return fmt.Sprintf("objects may be stored in version %s (status.storedVersions), which the chart's definition (%s) does not have any more. They could not be read then. "+
		"Keep the version in the chart, with served: false, until all objects were written again in the new one and storedVersions was cleaned up",
		strings.Join(lost, ", "), versionsText(d.object))
}

// key names a definition as everywhere in this package.
func (d definition) key() object.Key {
	apiVersion, _ := d.object["apiVersion"].(string)
	return object.Key(apiVersion + "/" + kindCRD + "/" + d.name)
}

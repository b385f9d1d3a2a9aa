// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

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

// AnnotationWrittenBy says on a CustomResourceDefinition which release wrote it last, and from which chart: definitions belong to
// the whole cluster, and several clients' releases may bring them.
const AnnotationWrittenBy = "slipway.dev/written-by"

// Definition is one CustomResourceDefinition of a chart's crds folder.
type Definition struct {
	Name   string
	Object map[string]any
}

// Definitions maps each CustomResourceDefinition that the apply writes to its versions and a digest of its content:
// "widgets.example.com" → "v1alpha1 (not served), v1 (stored); c1:sha256:…". It is empty unless spec.ReplaceCRDs is set, since
// definitions that exist are not written otherwise.
func Definitions(spec Spec) (map[string]string, error) {
	if !spec.ReplaceCRDs {
		return nil, nil
	}
	all, err := spec.Definitions()
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(all))
	for _, d := range all {
		text, err := object.Canonical(d.Object)
		if err != nil {
			return nil, fmt.Errorf("reading CustomResourceDefinition %s: %w", d.Name, err)
		}
		out[d.Name] = VersionsText(d.Object) + "; " + object.Digest(map[object.Key]string{"": text})
	}
	return out, nil
}

// Version is one version of a definition.
type Version struct {
	Name           string
	Served, stored bool
}

// VersionsOf lists the versions of a CustomResourceDefinition.
func VersionsOf(crd map[string]any) []Version {
	found, _, _ := unstructured.NestedFieldNoCopy(crd, "spec", "versions")
	list, _ := found.([]any)
	var out []Version
	for _, v := range list {
		version, _ := v.(map[string]any)
		name, _ := version["name"].(string)
		served, _ := version["served"].(bool)
		stored, _ := version["storage"].(bool)
		out = append(out, Version{name, served, stored})
	}
	return out
}

// VersionsText prints the versions of a CustomResourceDefinition: "v1alpha1 (not served), v1 (stored)".
func VersionsText(crd map[string]any) string {
	var texts []string
	for _, v := range VersionsOf(crd) {
		text := v.Name
		switch {
		case v.stored && !v.Served:
			text += " (stored, not served)"
		case v.stored:
			text += " (stored)"
		case !v.Served:
			text += " (not served)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// Replacement is what a live definition is replaced with: the chart's spec, with the certificate that a controller injected, and
// the chart's labels and annotations next to those of others.
func Replacement(d Definition, live *unstructured.Unstructured, writer string) *unstructured.Unstructured {
	next := live.DeepCopy()
	wanted := object.DeepCopy(d.Object)
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
	next.SetAnnotations(mergedLabels(live.GetAnnotations(), rendered.GetAnnotations(), map[string]string{AnnotationWrittenBy: writer}))
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

// WriterOf names a release and its chart in AnnotationWrittenBy: "client-a/prod/app widgets 1.2.0".
func WriterOf(target ownership.Release, spec Spec) string {
	return fmt.Sprintf("%s/%s %s %s", target.Handle.Name(), target.Name, spec.Chart.Name, spec.Chart.Version)
}

// WhyNotReplaced says why a live definition must not be replaced; empty where it may.
func WhyNotReplaced(d Definition, live *unstructured.Unstructured) string {
	if name := live.GetAnnotations()[ownership.AnnotationReleaseName]; name != "" {
		return fmt.Sprintf("the definition exists and belongs to the Helm release %s in namespace %s, which renders it as a template. "+
			"Take it out of one of the two charts, or set crds = \"create\"", name, live.GetAnnotations()[ownership.AnnotationReleaseNamespace])
	}
	stored, _, _ := unstructured.NestedStringSlice(live.Object, "status", "storedVersions")
	var lost []string
	for _, version := range stored {
		if !slices.ContainsFunc(VersionsOf(d.Object), func(v Version) bool { return v.Name == version }) {
			lost = append(lost, version)
		}
	}
	if len(lost) == 0 {
		return ""
	}
	return fmt.Sprintf("objects may be stored in version %s (status.storedVersions), which the chart's definition (%s) does not have any "+
		"more. They could not be read then. "+
		"Keep the version in the chart, with served: false, until all objects were written again in the new one and storedVersions was "+
		"cleaned up",
		strings.Join(lost, ", "), VersionsText(d.Object))
}

// Key names a definition as everywhere in this package.
func (d Definition) Key() object.Key {
	apiVersion, _ := d.Object["apiVersion"].(string)
	return object.Key(apiVersion + "/" + kindCRD + "/" + d.Name)
}

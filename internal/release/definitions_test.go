// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// crdBench is a chart whose definition the test changes.
type crdBench struct {
	*bench
	group string
}

func newCRDBench(t *testing.T, group string) *crdBench {
	t.Helper()
	b := &crdBench{bench: newBench(t), group: group}
	gone := func() {
		live, err := b.target.Cluster.Dynamic()
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.WithoutCancel(t.Context())
		if err := live.Resource(crdResource).Delete(ctx, b.name(), metav1.DeleteOptions{}); err != nil && !cluster.IsNotFound(err) {
			t.Error(err)
		}
		b.eventually("the definition is gone", func() bool {
			_, err := live.Resource(crdResource).Get(ctx, b.name(), metav1.GetOptions{})
			return cluster.IsNotFound(err)
		})
	}
	gone()
	t.Cleanup(gone)
	return b
}

func (b *crdBench) name() string { return "widgets." + b.group }

// version is one version in the YAML of a definition. field is a property of spec next to size.
func crdVersionYAML(name, field string, served, stored bool) string {
	return fmt.Sprintf("    - {name: %s, served: %v, storage: %v, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: "+
		"object, properties: {size: {type: integer}, %s: {type: string}}}}}}}\n",
		name, served, stored, field)
}

// spec is a chart of a version with the definition and one object of it.
func (b *crdBench) spec(apiVersion string, versions ...string) Spec {
	b.t.Helper()
	spec := specOfFiles(b.t, map[string]string{
		"values.yaml": "level: info\n",
		"crds/widget.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + b.name() +
			"}\nspec:\n  group: " + b.group +
			"\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets, singular: widget}\n  versions:\n" + strings.Join(versions, ""),
		"templates/widget.yaml": "apiVersion: " + b.group + "/" + apiVersion + "\nkind: Widget\nmetadata: {name: app}\nspec: {size: 3}\n",
	})
	spec.CreateCRDs, spec.ReplaceCRDs = true, true
	return spec
}

func (b *crdBench) live() *unstructured.Unstructured {
	b.t.Helper()
	client, err := b.target.Cluster.Dynamic()
	if err != nil {
		b.t.Fatal(err)
	}
	found, err := client.Resource(crdResource).Get(b.t.Context(), b.name(), metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func (b *crdBench) dryRun(spec Spec) *dryrun.DefinitionsResult {
	b.t.Helper()
	result, err := dryrun.Definitions(b.t.Context(), b.target, spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

func TestApply_ReplacesCRDsWhereAskedTo(t *testing.T) {
	t.Parallel()
	b := newCRDBench(t, "replace.slipway.test")
	first := b.spec("v1", crdVersionYAML("v1", "color", true, true))
	if result := b.dryRun(first); len(result.Changes) != 1 || !strings.Contains(result.Changes[0], "new, v1 (stored)") ||
		len(result.Refusals)+len(result.Skipped) > 0 {
		t.Errorf("dry run of a new definition: %+v", result)
	}
	b.mustApply(first)
	if result := b.dryRun(first); len(result.Changes)+len(result.Refusals) > 0 {
		t.Errorf("the same definition changes something: %+v", result)
	}
	generation := b.live().GetGeneration()
	b.mustApply(first)
	if got := b.live().GetGeneration(); got != generation {
		t.Errorf("the same definition was written: generation %d → %d", generation, got)
	}

	// A field more, under templates that render to the same: no revision, and yet the definition is new.
	second := b.spec("v1", crdVersionYAML("v1", "shape", true, true))
	definitions, err := render.Definitions(second)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, definitions[b.name()], "v1 (stored); c1:sha256:")
	wantText(t, strings.Join(b.dryRun(second).Changes, ""), b.name()+": v1 (stored), with another content")
	if done := b.mustApply(second); done.Revision != 1 || done.Changed {
		t.Errorf("outcome: %+v", done)
	}
	if text := fmt.Sprint(b.live().Object["spec"]); !strings.Contains(text, "shape") || strings.Contains(text, "color") {
		t.Errorf("the definition is %s", text)
	}

	// A new version, of which the chart makes an object at once.
	third := b.spec("v2", crdVersionYAML("v1", "shape", true, false), crdVersionYAML("v2", "shape", true, true))
	wantText(t, strings.Join(b.dryRun(third).Changes, ""), "v1 (stored) → v1, v2 (stored)")
	b.mustApply(third)
	client, err := b.target.Cluster.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	v2 := schema.GroupVersionResource{Group: b.group, Version: "v2", Resource: "widgets"}
	if _, err := client.Resource(v2).Namespace(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}

	// v1 is still in storedVersions: to drop it would lose objects.
	fourth := b.spec("v2", crdVersionYAML("v2", "shape", true, true))
	result := b.dryRun(fourth)
	if len(result.Refusals) != 1 {
		t.Fatalf("dry run: %+v", result)
	}
	wantText(t, result.Refusals[0].Message, "stored in version v1", "storedVersions", "served: false")
	_, err = b.apply(t.Context(), fourth)
	wantText(t, asError[*RolloutError](t, err).Error(), "cannot replace CustomResourceDefinition/"+b.name(), "stored in version v1")
	wantText(t, render.VersionsText(b.live().Object), "v1")
	// To stop serving it is what the advice says.
	fifth := b.spec("v2", crdVersionYAML("v1", "shape", false, false), crdVersionYAML("v2", "shape", true, true))
	wantText(t, strings.Join(b.dryRun(fifth).Changes, ""), "v1 is not served any more")
	b.mustApply(fifth)
}

func TestApply_ReplacingCRDsKeepsWhatOthersWroteAndRespectsOwners(t *testing.T) {
	t.Parallel()
	b := newCRDBench(t, "owners.slipway.test")
	b.mustApply(b.spec("v1", crdVersionYAML("v1", "color", true, true)))
	client, err := b.target.Cluster.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	patch := func(text string) {
		t.Helper()
		if _, err := client.Resource(crdResource).Patch(t.Context(), b.name(), types.MergePatchType, []byte(text),
			metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"metadata":{"labels":{"team":"platform"},"annotations":{"slipway.dev/written-by":"client-b/prod/app sample 9.0.0"}}}`)
	next := b.spec("v1", crdVersionYAML("v1", "shape", true, true))
	wantText(t, strings.Join(b.dryRun(next).Changes, ""), "last written by client-b/prod/app with chart sample 9.0.0", "newer than this chart")
	b.mustApply(next)
	live := b.live()
	if live.GetLabels()["team"] != "platform" || !strings.HasPrefix(live.GetAnnotations()[render.AnnotationWrittenBy],
		testClient+"/"+testStage+"/app ") {
		t.Errorf("metadata is %v", live.Object["metadata"])
	}

	patch(`{"metadata":{"annotations":{"meta.helm.sh/release-name":"other","meta.helm.sh/release-namespace":"elsewhere"}}}`)
	last := b.spec("v1", crdVersionYAML("v1", "size2", true, true))
	result := b.dryRun(last)
	if len(result.Refusals) != 1 {
		t.Fatalf("dry run: %+v", result)
	}
	wantText(t, result.Refusals[0].Message, "Helm release other in namespace elsewhere")
	if _, err := b.apply(t.Context(), last); err == nil || strings.Contains(fmt.Sprint(b.live().Object["spec"]), "size2") {
		t.Errorf("a definition of another release was replaced (%v)", err)
	}
}

func TestReplacement_KeepsAnInjectedCertificate(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "a.b", "resourceVersion": "7"},
		"spec": map[string]any{
			"conversion": map[string]any{"webhook": map[string]any{"clientConfig": map[string]any{"caBundle": "aW5qZWN0ZWQ=", "url": "old"}}}}}}
	spec := specOfFiles(t, map[string]string{"values.yaml": "a: 1\n"})
	d := render.Definition{Name: "a.b", Object: map[string]any{"spec": map[string]any{
		"conversion": map[string]any{"webhook": map[string]any{"clientConfig": map[string]any{"url": "new"}}},
	}}}
	got, _, err := unstructured.NestedStringMap(render.Replacement(d, live, render.WriterOf(Target{Name: "app"}, spec)).Object, "spec",
		"conversion", "webhook", "clientConfig")
	if err != nil || got["caBundle"] != "aW5qZWN0ZWQ=" || got["url"] != "new" {
		t.Errorf("client config is %v (%v)", got, err)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// DefinitionsResult is what would come of writing a chart's CustomResourceDefinitions.
type DefinitionsResult struct {
	// Refusals would fail the apply: a version that is still stored would go, or the API server refuses the definition.
	Refusals []Refusal
	// Changes says in words what changes for the cluster ("widgets.example.com: v1 (stored) → v1, v2 (stored)"), and what it means
	// for other releases.
	Changes []string
	// Skipped says in words what could not be validated and why.
	Skipped []string
}

// Definitions looks at what replacing the chart's CustomResourceDefinitions would do: one GET and one dry run for each.
// Nothing is written. It does nothing unless spec.ReplaceCRDs is set. Errors as from cluster.Classify.
func Definitions(ctx context.Context, target ownership.Release, spec render.Spec) (*DefinitionsResult, error) {
	out := &DefinitionsResult{}
	if !spec.ReplaceCRDs {
		return out, nil
	}
	all, err := spec.Definitions()
	if err != nil || len(all) == 0 {
		return out, err
	}
	client, err := target.Cluster.Dynamic()
	if err != nil {
		return nil, err
	}
	t := &definitionsRun{target: target, spec: spec, out: out, answers: newAnswers(&render.Result{})}
	for _, d := range all {
		mapping, err := t.mapping(d)
		if err == nil {
			err = t.definition(ctx, client.Resource(mapping.Resource), d)
		}
		if err != nil {
			return nil, target.Cluster.Classify(err)
		}
	}
	sorted := t.answers.result()
	out.Refusals, out.Skipped = append(out.Refusals, sorted.Refusals...), sorted.Skipped
	return out, nil
}

type definitionsRun struct {
	target ownership.Release
	spec   render.Spec
	out    *DefinitionsResult
	// answers distinguishes refusals from missing rights.
	answers *answers
}

func (t *definitionsRun) mapping(d render.Definition) (*meta.RESTMapping, error) {
	mapper, err := t.target.Cluster.RESTMapper()
	if err != nil {
		return nil, err
	}
	gvk := object.GVKOf(d.Object)
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: gvk.Group, Kind: gvk.Kind}, gvk.Version)
	if err != nil {
		return nil, fmt.Errorf("asking the cluster for CustomResourceDefinitions of %s: %w", gvk.GroupVersion(), err)
	}
	return mapping, nil
}

func (t *definitionsRun) definition(ctx context.Context, at dynamic.ResourceInterface, d render.Definition) error {
	dryRun := []string{metav1.DryRunAll}
	live, err := at.Get(ctx, d.Name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		t.out.Changes = append(t.out.Changes, fmt.Sprintf("%s: new, %s", d.Name, render.VersionsText(d.Object)))
		_, err = at.Create(ctx, &unstructured.Unstructured{Object: object.DeepCopy(d.Object)},
			metav1.CreateOptions{DryRun: dryRun, FieldManager: environment.FieldManager})
		return t.sort(d, err)
	}
	if err != nil {
		return t.sort(d, err)
	}
	if problem := render.WhyNotReplaced(d, live); problem != "" {
		t.out.Refusals = append(t.out.Refusals, Refusal{Object: d.Key(), Reason: "Invalid", Message: problem + "."})
		return nil
	}
	updated, err := at.Update(ctx, render.Replacement(d, live, render.WriterOf(t.target, t.spec)),
		metav1.UpdateOptions{DryRun: dryRun, FieldManager: environment.FieldManager})
	if err != nil {
		return t.sort(d, err)
	}
	if updated.GetGeneration() != live.GetGeneration() {
		t.out.Changes = append(t.out.Changes, t.change(d, live))
	}
	return nil
}

func (t *definitionsRun) sort(d render.Definition, err error) error {
	if err == nil {
		return nil
	}
	return t.answers.refusedBy(d.Key(), "", err)
}

// change says what replacing a definition means for everybody on the cluster.
func (t *definitionsRun) change(d render.Definition, live *unstructured.Unstructured) string {
	before, after := render.VersionsText(live.Object), render.VersionsText(d.Object)
	text := fmt.Sprintf("%s: %s → %s", d.Name, before, after)
	if before == after {
		text = fmt.Sprintf("%s: %s, with another content", d.Name, after)
	}
	var ends []string
	for _, v := range render.VersionsOf(live.Object) {
		still := slices.ContainsFunc(render.VersionsOf(d.Object), func(n render.Version) bool { return n.Name == v.Name && n.Served })
		if v.Served && !still {
			ends = append(ends, v.Name)
		}
	}
	if len(ends) > 0 {
		text += "; " + strings.Join(ends, ", ") + " is not served any more"
	}
	writer := live.GetAnnotations()[render.AnnotationWrittenBy]
	if writer == "" {
		return text
	}
	release, chart, _ := strings.Cut(writer, " ")
	name, version, _ := strings.Cut(chart, " ")
	if release != t.target.Handle.Name()+"/"+t.target.Name {
		text += "; last written by " + release + " with chart " + chart
	}
	theirs, err := semver.NewVersion(version)
	ours, err2 := semver.NewVersion(t.spec.Chart.Version)
	if name == t.spec.Chart.Name && err == nil && err2 == nil && theirs.GreaterThan(ours) {
		text += ", which is newer than this chart (" + t.spec.Chart.Version + ")"
	}
	return text
}

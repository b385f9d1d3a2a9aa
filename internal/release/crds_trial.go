// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

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
)

// DefinitionTrial is what would come of writing a chart's CustomResourceDefinitions.
type DefinitionTrial struct {
	// Refusals would fail the apply: a version that is still stored would go, or the API server refuses the definition.
	Refusals []Refusal
	// Changes says in words what changes for the cluster ("widgets.example.com: v1 (stored) → v1, v2 (stored)"), and what it means
	// for other releases.
	Changes []string
	// Skipped says in words what could not be tried and why.
	Skipped []string
}

// TrialDefinitions looks at what replacing the chart's CustomResourceDefinitions would do: one GET and one dry run for each.
// Nothing is written. It does nothing unless spec.ReplaceCRDs is set. Errors as from cluster.Classify.
func TrialDefinitions(ctx context.Context, target Target, spec Spec) (*DefinitionTrial, error) {
	out := &DefinitionTrial{}
	if !spec.ReplaceCRDs {
		return out, nil
	}
	all, err := spec.definitions()
	if err != nil || len(all) == 0 {
		return out, err
	}
	client, err := target.Cluster.Dynamic()
	if err != nil {
		return nil, err
	}
	t := &definitionTrial{target: target, spec: spec, out: out, sort: &trial{target: target, next: &Rendering{}, skipped: map[string][]string{}}}
	for _, d := range all {
		mapping, err := t.mapping(d)
		if err == nil {
			err = t.try(ctx, client.Resource(mapping.Resource), d)
		}
		if err != nil {
			return nil, target.Cluster.Classify(err)
		}
	}
	sorted := t.sort.result()
	out.Refusals, out.Skipped = append(out.Refusals, sorted.Refusals...), sorted.Skipped
	return out, nil
}

type definitionTrial struct {
	target Target
	spec   Spec
	out    *DefinitionTrial
	// sort tells refusals from missing rights.
	sort *trial
}

func (t *definitionTrial) mapping(d definition) (*meta.RESTMapping, error) {
	mapper, err := t.target.Cluster.RESTMapper()
	if err != nil {
		return nil, err
	}
	gvk := object.GVKOf(d.object)
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: gvk.Group, Kind: gvk.Kind}, gvk.Version)
	if err != nil {
		return nil, fmt.Errorf("asking the cluster for CustomResourceDefinitions of %s: %w", gvk.GroupVersion(), err)
	}
	return mapping, nil
}

func (t *definitionTrial) try(ctx context.Context, at dynamic.ResourceInterface, d definition) error {
	dryRun := []string{metav1.DryRunAll}
	live, err := at.Get(ctx, d.name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		t.out.Changes = append(t.out.Changes, fmt.Sprintf("%s: new, %s", d.name, versionsText(d.object)))
		_, err = at.Create(ctx, &unstructured.Unstructured{Object: object.DeepCopy(d.object)}, metav1.CreateOptions{DryRun: dryRun, FieldManager: environment.FieldManager})
		return t.judge(d, err)
	}
	if err != nil {
		return t.judge(d, err)
	}
	if problem := whyNotReplaced(d, live); problem != "" {
		t.out.Refusals = append(t.out.Refusals, Refusal{Object: d.key(), Reason: "Invalid", Message: problem + "."})
		return nil
	}
	tried, err := at.Update(ctx, replacement(d, live, writerOf(t.target, t.spec)), metav1.UpdateOptions{DryRun: dryRun, FieldManager: environment.FieldManager})
	if err != nil {
		return t.judge(d, err)
	}
	if tried.GetGeneration() != live.GetGeneration() {
		t.out.Changes = append(t.out.Changes, t.change(d, live))
	}
	return nil
}

func (t *definitionTrial) judge(d definition, err error) error {
	if err == nil {
		return nil
	}
	return t.sort.refusedBy(d.key(), "", err)
}

// change says what replacing a definition means for everybody on the cluster.
func (t *definitionTrial) change(d definition, live *unstructured.Unstructured) string {
	before, after := versionsText(live.Object), versionsText(d.object)
	text := fmt.Sprintf("%s: %s → %s", d.name, before, after)
	if before == after {
		text = fmt.Sprintf("%s: %s, with another content", d.name, after)
	}
	var ends []string
	for _, v := range versionsOf(live.Object) {
		still := slices.ContainsFunc(versionsOf(d.object), func(n crdVersion) bool { return n.name == v.name && n.served })
		if v.served && !still {
			ends = append(ends, v.name)
		}
	}
	if len(ends) > 0 {
		text += "; " + strings.Join(ends, ", ") + " is not served any more"
	}
	writer := live.GetAnnotations()[annotationWrittenBy]
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

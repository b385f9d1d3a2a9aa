// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// Takeover is one object that runs and that the release takes over.
type Takeover struct {
	Object object.Key
	Owner  ownership.Owner
	// Deployer is set where Argo CD or Flux deploys the object: it would restore or remove it.
	Deployer ownership.Owner
	// Changes are the fields that the release changes, and Restarts says that this replaces the object's pods. Only Run knows them.
	Changes  []Overwrite
	Restarts bool
}

// ErrUnseen means that what runs could not be read for lack of a right.
var ErrUnseen = errors.New("what runs cannot be read for lack of a right")

// Running lists the rendered objects that exist in the cluster already and that the release may take over, in the order of their keys.
// Hooks are not among them. Errors: ErrUnseen, others as from cluster.Classify.
func Running(ctx context.Context, target ownership.Release, next *render.Result, taking ownership.Taking) ([]Takeover, error) {
	client, err := target.Cluster.Metadata()
	if err != nil {
		return nil, err
	}
	mapper, err := target.Cluster.RESTMapper()
	if err != nil {
		return nil, err
	}
	keys := slices.Sorted(maps.Keys(next.ByKey))
	found := make([]*Takeover, len(keys))
	indexes := make([]int, len(keys))
	for i := range indexes {
		indexes[i] = i
	}
	err = cluster.Parallel(ctx, indexes, func(ctx context.Context, i int) error {
		o := next.ByKey[keys[i]]
		gvk := object.GVKOf(o.Object)
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if o.Hook || meta.IsNoMatchError(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("asking the cluster for %s: %w", gvk.GroupKind(), err)
		}
		name, namespace := object.NameOf(o.Object)
		if namespace == "" {
			namespace = target.Handle.Namespace
		}
		if mapping.Scope.Name() == meta.RESTScopeNameRoot {
			namespace = ""
		}
		live, err := client.Resource(mapping.Resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case cluster.IsNotFound(err):
			return nil
		case cluster.LacksRight(err):
			return ErrUnseen
		case err != nil:
			return fmt.Errorf("reading %s: %w", keys[i].Short(), err)
		}
		if reason, _ := taking.Refusal(target, target.OwnerOf(live)); reason == "" {
			found[i] = takeoverOf(target, keys[i], live)
		}
		return nil
	})
	if errors.Is(err, ErrUnseen) {
		return nil, ErrUnseen
	}
	if err != nil {
		return nil, target.Cluster.Classify(err)
	}
	var out []Takeover
	for _, f := range found {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out, nil
}

func takeoverOf(target ownership.Release, key object.Key, live metav1.Object) *Takeover {
	out := &Takeover{Object: key, Owner: target.OwnerOf(live)}
	out.Deployer, _ = ownership.DeployerOf(live)
	return out
}

// changes completes a takeover with what the release changes.
func (t *run) changes(taken *Takeover, rendered map[string]any, live, result *unstructured.Unstructured) error {
	found, err := (&overwriteSearch{run: t, key: taken.Object}).all(rendered, live.Object, result.Object)
	if err != nil {
		return err
	}
	taken.Changes = found
	taken.Restarts = rollsOut(live) && !object.SameValue(templateOf(live), templateOf(result))
	t.answers.takeOver(*taken)
	return nil
}

// rollsOut reports an object whose pods are replaced when its pod template changes.
func rollsOut(o *unstructured.Unstructured) bool {
	switch o.GetKind() {
	case "Deployment", "StatefulSet", "DaemonSet":
		return true
	}
	return false
}

func templateOf(o *unstructured.Unstructured) any { return inMap(inMap(o.Object, "spec"), "template") }

// refuseTakeover says why an object that runs cannot be changed to what is rendered, and what to do.
func (t *run) refuseTakeover(key object.Key, taken *Takeover, live *unstructured.Unstructured, err error) error {
	if !apierrors.IsInvalid(err) {
		return t.answers.refusedBy(key, "", err)
	}
	text := fmt.Sprintf(
		"%s\n\nThe object runs (%s) and would be taken over; these fields of it cannot be changed.",
		cluster.AnswerText(err),
		taken.Owner,
	)
	if selector := selectorText(live); selector != "" {
		text += " Its selector is " + selector + "."
	}
	t.answers.refuse(
		key,
		"Invalid",
		text+" Set the chart's values so that it renders these fields as they run, for example its selector labels "+
			"or nameOverride. Or give the object another name: both run then, until the old one is removed by hand",
	)
	return nil
}

func selectorText(live *unstructured.Unstructured) string {
	labels, _, _ := unstructured.NestedStringMap(live.Object, "spec", "selector", "matchLabels")
	parts := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, key+"="+labels[key])
	}
	return strings.Join(parts, ",")
}

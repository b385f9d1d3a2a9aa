// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	jsonpatch "github.com/evanphx/json-patch"
	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// refusedError is one object that the API server did not take.
type refusedError struct {
	object object.Key
	verb   string
	hook   bool
	cause  error
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("cannot %s %s: %s", e.verb, e.object.Short(), explain.Library(e.cause))
}

func (e *refusedError) Unwrap() error { return e.cause }

// keyOf names an object as everywhere in this package.
func (o *operation) keyOf(info *resource.Info) object.Key {
	gvk := info.Mapping.GroupVersionKind
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	if info.Namespace == "" || info.Namespace == o.target.Handle.Namespace {
		return object.Key(apiVersion + "/" + kind + "/" + info.Name)
	}
	return object.Key(apiVersion + "/" + kind + "/" + info.Namespace + "/" + info.Name)
}

func isHookList(resources kube.ResourceList) bool {
	for _, info := range resources {
		accessor, err := meta.Accessor(info.Object)
		if err == nil && accessor.GetAnnotations()[helmrelease.HookAnnotation] != "" {
			return true
		}
	}
	return false
}

// shortNames lists objects as people speak of them.
func shortNames(resources kube.ResourceList) string {
	names := make([]string, 0, len(resources))
	for _, info := range resources {
		names = append(names, info.Mapping.GroupVersionKind.Kind+"/"+info.Name)
	}
	return strings.Join(names, ", ")
}

// sameObject compares by group, kind, namespace and name: an API version may have moved on.
func sameObject(a, b *resource.Info) bool {
	return a.Name == b.Name && a.Namespace == b.Namespace &&
		a.Mapping.GroupVersionKind.GroupKind() == b.Mapping.GroupVersionKind.GroupKind()
}

func containsObject(list kube.ResourceList, info *resource.Info) bool {
	for _, other := range list {
		if sameObject(other, info) {
			return true
		}
	}
	return false
}

// mergeOriginals lays versions of one object over each other, the last on top. As base of a three-way patch the result says:
// any field that one of them had, and the new one has not, is to go.
func mergeOriginals(versions kube.ResourceList) (*resource.Info, error) {
	base := *versions[0]
	merged, err := json.Marshal(base.Object)
	if err != nil {
		return nil, fmt.Errorf("reading a stored object: %w", err)
	}
	for _, version := range versions[1:] {
		next, err := json.Marshal(version.Object)
		if err != nil {
			return nil, fmt.Errorf("reading a stored object: %w", err)
		}
		typed := kube.AsVersioned(version)
		if _, untyped := typed.(runtime.Unstructured); untyped {
			merged, err = jsonpatch.MergePatch(merged, next)
		} else {
			merged, err = strategicpatch.StrategicMergePatch(merged, next, typed)
		}
		if err != nil {
			return nil, fmt.Errorf("merging stored versions of %s/%s: %w", base.Mapping.GroupVersionKind.Kind, base.Name, err)
		}
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(merged); err != nil {
		return nil, fmt.Errorf("reading a merged object: %w", err)
	}
	base.Object = out
	return &base, nil
}

// buildTolerant builds what the cluster still serves of a stored manifest: kinds that are gone leave nothing to clean up.
func (k *ctxKube) buildTolerant(manifest string) (kube.ResourceList, error) {
	objects, err := object.ParseManifest(manifest, k.op.target.Handle.Namespace)
	if err != nil {
		return nil, err
	}
	var out kube.ResourceList
	for _, o := range objects {
		text, err := json.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("reading stored object %s: %w", o.Key, err)
		}
		list, err := k.client.Build(io.Reader(strings.NewReader(string(text))), false)
		if meta.IsNoMatchError(err) || err != nil && strings.Contains(err.Error(), "no matches for kind") {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

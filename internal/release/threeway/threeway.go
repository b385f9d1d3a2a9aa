// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package threeway computes the patches with which Helm brings live objects to what is rendered.
package threeway

import (
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch"
	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// Patch is the patch with which Helm brings a live object from base to target: what base and target have in common
// stays as it is unless it was changed by hand, what only base has goes, and what others added stays. Kinds that client-go
// knows get a strategic merge patch, all others a JSON merge patch from base to target, which does not look at live.
// A nil patch says that nothing is to be sent.
func Patch(mapping *meta.RESTMapping, base, target, live map[string]any) ([]byte, types.PatchType, error) {
	before, err := json.Marshal(base)
	if err != nil {
		return nil, "", fmt.Errorf("writing the stored object: %w", err)
	}
	after, err := json.Marshal(target)
	if err != nil {
		return nil, "", fmt.Errorf("writing the rendered object: %w", err)
	}
	now, err := json.Marshal(live)
	if err != nil {
		return nil, "", fmt.Errorf("writing the live object: %w", err)
	}
	versioned := kube.AsVersioned(&resource.Info{Mapping: mapping, Object: &unstructured.Unstructured{Object: target}})
	var patch []byte
	kind := types.StrategicMergePatchType
	if _, untyped := versioned.(runtime.Unstructured); untyped {
		kind = types.MergePatchType
		patch, err = jsonpatch.CreateMergePatch(before, after)
	} else {
		var schema strategicpatch.PatchMetaFromStruct
		if schema, err = strategicpatch.NewPatchMetaFromStruct(versioned); err == nil {
			patch, err = strategicpatch.CreateThreeWayMergePatch(before, after, now, schema, true)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("computing the patch: %w", err)
	}
	if len(patch) == 0 || string(patch) == "{}" {
		return nil, kind, nil
	}
	return patch, kind, nil
}

// Restoring is the patch that restores what of target is not live, and what it would make of live. Kinds that client-go
// knows get Helm's own patch. For all others Helm compares with its own last manifest only and would find nothing; they get what
// target has laid over live: maps are merged, lists are replaced.
func Restoring(mapping *meta.RESTMapping, target, live map[string]any) (
	patch []byte, kind types.PatchType, restored map[string]any, err error,
) {
	now, err := json.Marshal(live)
	if err != nil {
		return nil, "", nil, fmt.Errorf("writing the live object: %w", err)
	}
	var then []byte
	versioned := kube.AsVersioned(&resource.Info{Mapping: mapping, Object: &unstructured.Unstructured{Object: target}})
	if _, untyped := versioned.(runtime.Unstructured); untyped {
		kind = types.MergePatchType
		if then, err = json.Marshal(lay(target, live)); err == nil {
			patch, err = jsonpatch.CreateMergePatch(now, then)
		}
	} else {
		if patch, kind, err = Patch(mapping, target, target, live); err == nil && patch != nil {
			then, err = strategicpatch.StrategicMergePatch(now, patch, versioned)
		}
	}
	if err != nil {
		return nil, "", nil, fmt.Errorf("computing the patch: %w", err)
	}
	if len(patch) == 0 || string(patch) == "{}" {
		return nil, kind, nil, nil
	}
	restored, err = object.Decode(string(then))
	return patch, kind, restored, err
}

// lay lays one tree over another: maps are merged, all else replaces. A null asks for nothing where nothing is.
func lay(over, under map[string]any) map[string]any {
	out := make(map[string]any, len(under))
	for key, v := range under {
		out[key] = v
	}
	for key, v := range over {
		table, isMap := v.(map[string]any)
		below, alsoMap := out[key].(map[string]any)
		switch {
		case isMap && alsoMap:
			out[key] = lay(table, below)
		case isMap:
			out[key] = lay(table, nil)
		case v == nil:
			delete(out, key)
		default:
			out[key] = v
		}
	}
	return out
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmkube

import (
	"fmt"
	"slices"

	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

// restoring restores custom resources while Helm upgrades or rolls back. For them Helm sends what changed between two manifests,
// so that a field that is the same in both stays as another user has changed it. Nil does nothing.
type restoring struct {
	client *Client
	ignore []object.IgnoreRule
}

func nothing() error { return nil }

// prepare keeps what an object is to be, since Helm replaces it by the API server's answer, and returns what puts it back
// afterwards.
func (r *restoring) prepare(info *resource.Info) (restore func() error, err error) {
	if r == nil {
		return nothing, nil
	}
	if _, untyped := kube.AsVersioned(info).(runtime.Unstructured); !untyped {
		return nothing, nil
	}
	fields, err := fieldsOf(info)
	if err != nil {
		return nil, err
	}
	want := object.DeepCopy(fields)
	return func() error { return r.restore(info, want) }, nil
}

func (r *restoring) restore(info *resource.Info, want map[string]any) error {
	delete(want, "status")
	helper := resource.NewHelper(info.Client, info.Mapping)
	got, err := helper.Get(info.Namespace, info.Name)
	if err != nil {
		return err
	}
	live, err := fieldsOf(&resource.Info{Name: info.Name, Object: got})
	if err != nil {
		return err
	}
	key := r.client.KeyOf(info)
	patch, _, restored, err := threeway.Restoring(info.Mapping, want, live)
	if err != nil || patch == nil {
		return err
	}
	ignored := func(leaf object.Drift) bool {
		covered := slices.ContainsFunc(r.ignore, func(rule object.IgnoreRule) bool { return rule.Covers(key, leaf) })
		if covered {
			leaf.Keep(want, object.DeepCopy(live))
		}
		return covered
	}
	if left := object.Drifts(live, restored, nil, ignored); len(left) == 0 {
		return nil
	}
	if patch, _, _, err = threeway.Restoring(info.Mapping, want, live); err != nil || patch == nil {
		return err
	}
	r.client.options.Doing(fmt.Sprintf("putting back %s", key.Short()))
	_, err = helper.Patch(info.Namespace, info.Name, types.MergePatchType, patch, nil)
	return err
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"

	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/client-go/dynamic"
)

// ReadyNow reports that all objects of a release exist and are ready. It reads each of them once and does not wait. Jobs may be gone, since
// a cluster removes those that have ended.
func ReadyNow(
	ctx context.Context, objects dynamic.Interface, namespace string, resources kube.ResourceList, classify func(error) error,
) (bool, error) {
	var all []*watched
	for _, info := range resources {
		if isWaitable(info) {
			all = append(all, newWatched(info))
		}
	}
	if err := (reader{dynamic: objects, namespace: namespace}).fetchEach(ctx, all); err != nil {
		return false, classify(err)
	}
	for _, o := range all {
		if o.live == nil {
			if o.info.Mapping.GroupVersionKind.Kind == "Job" {
				continue
			}
			return false, nil
		}
		status, err := DefaultGraces.readiness(o.live)
		if err != nil || !status.ready {
			return false, err
		}
	}
	return true, nil
}

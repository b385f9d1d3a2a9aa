// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Forget removes what the cluster has of a migration: the mirror, and Jobs that have ended. The data stays as it is. A mirror of another
// instance is left alone (forgotten). Errors: *RunningError, others as from packages environment and cluster.
func Forget(ctx context.Context, target Target, options Options) (forgotten bool, err error) {
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	if err := target.Cluster.RequireUID(ctx, options.ClusterUID); err != nil {
		return false, err
	}
	_, err = environment.Check(ctx, target.Cluster, target.Handle)
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a := &application{target: target, options: options, caller: ctx}
	finish, err := a.begin()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	found, _, err := readMirror(a.ctx, a.reads, target)
	if err != nil {
		return false, err
	}
	if found != nil && found.Annotations[annotationInstance] != options.InstanceID {
		return true, nil
	}
	left, err := a.jobs()
	if err != nil {
		return false, err
	}
	for i := range left {
		if j := &left[i]; !ended(j) && j.Status.Active > 0 {
			return false, &RunningError{Job: j.Name, Namespace: j.Namespace, Since: j.CreationTimestamp.Time}
		}
	}
	if err := a.removeJobs(left); err != nil {
		return false, err
	}
	if found == nil {
		return false, nil
	}
	err = a.gated.CoreV1().ConfigMaps(found.Namespace).Delete(a.ctx, found.Name,
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, target.Cluster.Classify(fmt.Errorf("deleting ConfigMap %s: %w", found.Name, err))
	}
	return false, nil
}

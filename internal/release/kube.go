// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

var (
	_ kube.Interface                    = (*ctxKube)(nil)
	_ kube.InterfaceExt                 = (*ctxKube)(nil)
	_ kube.InterfaceDeletionPropagation = (*ctxKube)(nil)
)

// ctxKube is Helm's way to the cluster. Helm passes no context and waits with readers that call a failed Pod ready; here
// every step looks at the operation's context first, objects are written one by one so that an error names its object,
// and the waits are our own.
type ctxKube struct {
	op     *operation
	client *kube.Client
	// attempted are the objects of failed revisions newer than the deployed one: what they left is cleaned up by the next
	// revision that is written.
	attempted kube.ResourceList
	// failure is the first thing that went wrong. Helm turns errors into text, so it is kept here.
	failure error
	// written is the manifest that an upgrade or a rollback writes, and learns says that the next one built is it. Others that are
	// built are bases of three-way patches: of kinds that the cluster does not serve any more, nothing is left to compare with.
	written string
	learns  bool
	// ready says that what was written has become ready.
	ready bool
	// restoring, where it is set, puts custom resources back that were changed by hand: Helm does not look at them.
	restoring *restoring
}

// fail keeps the first failure, and returns it in the form that may be stored and shown.
func (k *ctxKube) fail(err error) error {
	if err == nil {
		return nil
	}
	if k.failure == nil {
		k.failure = err
	}
	return errors.New(k.op.secrets.Text(explain.Library(err)))
}

// transient reports that what went wrong first may go by itself.
func (k *ctxKube) transient() bool {
	var refused *refusedError
	if errors.As(k.failure, &refused) {
		return cluster.IsTransient(refused.cause)
	}
	return cluster.IsTransient(k.failure)
}

// Build turns a manifest into objects. It does not validate: that costs six requests and says no more than the API server. Helm asks
// for it only where it builds hooks.
func (k *ctxKube) Build(reader io.Reader, hook bool) (kube.ResourceList, error) {
	if err := k.op.ended(); err != nil {
		return nil, k.fail(err)
	}
	manifest, err := io.ReadAll(reader)
	if err != nil {
		return nil, k.fail(fmt.Errorf("reading the rendered objects: %w", err))
	}
	if k.learns && !hook {
		k.learns, k.written = false, string(manifest)
	}
	list, err := k.client.Build(bytes.NewReader(manifest), false)
	if err != nil && !hook && k.written != "" && k.written != string(manifest) {
		// Helm would never get away from such a revision, neither forwards nor backwards.
		if known, err := k.buildTolerant(string(manifest)); err == nil {
			return known, nil
		}
	}
	if err != nil {
		return nil, k.fail(fmt.Errorf("matching the rendered objects with what the cluster serves: %w", err))
	}
	return list, nil
}

// Create makes hooks, and the objects of a release of which none exists yet.
func (k *ctxKube) Create(resources kube.ResourceList) (*kube.Result, error) {
	hook := isHookList(resources)
	if hook {
		k.op.doing("running the hook " + shortNames(resources))
	} else {
		k.op.doing("creating " + object.Count(len(resources)))
	}
	result := &kube.Result{}
	for _, info := range resources {
		if err := k.op.ended(); err != nil {
			return result, k.fail(err)
		}
		if _, err := k.client.Create(kube.ResourceList{info}); err != nil {
			return result, k.fail(&refusedError{object: k.op.keyOf(info), verb: "create", hook: hook, cause: err})
		}
		result.Created = append(result.Created, info)
	}
	if hook {
		return result, nil
	}
	return result, k.removeAttempted(resources, result)
}

// Update writes target over original, object by object, and removes what only original has.
func (k *ctxKube) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	k.op.doing("writing " + object.Count(len(target)))
	result := &kube.Result{}
	bases := []kube.ResourceList{original}
	for _, info := range k.attempted {
		bases = append(bases, kube.ResourceList{info})
	}
	for _, base := range bases {
		if err := dropHPAReplicas(k.op.ctx, k.op.autoscalers, base, target); err != nil {
			return result, k.fail(err)
		}
	}
	for _, info := range target {
		if err := k.op.ended(); err != nil {
			return result, k.fail(err)
		}
		restore, err := k.restoring.prepare(info)
		if err != nil {
			return result, k.fail(err)
		}
		written, err := k.updateOne(original, info, force)
		if written != nil {
			result.Created = append(result.Created, written.Created...)
			result.Updated = append(result.Updated, written.Updated...)
		}
		if err != nil {
			return result, k.fail(&refusedError{object: k.op.keyOf(info), verb: "write", cause: err})
		}
		if err := restore(); err != nil {
			return result, k.fail(&refusedError{object: k.op.keyOf(info), verb: "put back", cause: err})
		}
	}
	if err := k.removeAll(original.Difference(target), result); err != nil {
		return result, err
	}
	return result, k.removeAttempted(target, result)
}

// updateOne lets Helm compute and send the patch of one object. Where failed revisions touched it, what they had written
// counts as original too, or their fields would stay for ever.
func (k *ctxKube) updateOne(original kube.ResourceList, info *resource.Info, force bool) (*kube.Result, error) {
	var before kube.ResourceList
	if base := original.Get(info); base != nil {
		before.Append(base)
	}
	tried := k.attempted.Filter(func(other *resource.Info) bool { return sameObject(other, info) })
	if len(tried) == 0 {
		return k.client.Update(before, kube.ResourceList{info}, force)
	}
	merged, err := mergeOriginals(append(before, tried...))
	if err != nil {
		return nil, err
	}
	return k.client.UpdateThreeWayMerge(kube.ResourceList{merged}, kube.ResourceList{info}, force)
}

// removeAttempted removes what only failed revisions made.
func (k *ctxKube) removeAttempted(target kube.ResourceList, result *kube.Result) error {
	var orphans kube.ResourceList
	for _, info := range k.attempted {
		if !containsObject(target, info) && !containsObject(orphans, info) && !containsObject(result.Deleted, info) {
			orphans.Append(info)
		}
	}
	return k.removeAll(orphans, result)
}

// removeAll deletes objects that are still this release's own and are not to be kept. Unlike Helm it does not pass over
// errors: what could not be deleted would otherwise stay without anybody knowing.
func (k *ctxKube) removeAll(resources kube.ResourceList, result *kube.Result) error {
	for _, info := range resources {
		if err := k.op.ended(); err != nil {
			return k.fail(err)
		}
		mine, err := k.mayDelete(info)
		if err != nil {
			return k.fail(&refusedError{object: k.op.keyOf(info), verb: "read", cause: err})
		}
		if !mine {
			continue
		}
		if _, errs := k.client.Delete(kube.ResourceList{info}); len(errs) > 0 {
			return k.fail(&refusedError{object: k.op.keyOf(info), verb: "delete", cause: errors.Join(errs...)})
		}
		result.Deleted = append(result.Deleted, info)
	}
	return nil
}

// mayDelete reports that an object exists, belongs to this release, and is not to be kept.
func (k *ctxKube) mayDelete(info *resource.Info) (bool, error) {
	live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	accessor, err := meta.Accessor(live)
	if err != nil {
		return false, err
	}
	annotations := accessor.GetAnnotations()
	return annotations[ownership.AnnotationReleaseName] == k.op.target.Name &&
		annotations[ownership.AnnotationReleaseNamespace] == k.op.target.Handle.Namespace &&
		annotations[kube.ResourcePolicyAnno] != kube.KeepPolicy, nil
}

// Delete removes hooks.
func (k *ctxKube) Delete(resources kube.ResourceList) (*kube.Result, []error) {
	return k.DeleteWithPropagationPolicy(resources, metav1.DeletePropagationBackground)
}

// DeleteWithPropagationPolicy removes hooks, and the objects of a release that is uninstalled. Objects that another release
// has taken over meanwhile stay.
func (k *ctxKube) DeleteWithPropagationPolicy(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	result := &kube.Result{}
	if err := k.op.ended(); err != nil {
		return result, []error{k.fail(err)}
	}
	doomed := resources
	if !isHookList(resources) {
		k.op.doing("deleting " + object.Count(len(resources)))
		doomed = nil
		for _, info := range resources {
			mine, err := k.mayDelete(info)
			if err != nil {
				return result, []error{k.fail(&refusedError{object: k.op.keyOf(info), verb: "read", cause: err})}
			}
			if mine {
				doomed.Append(info)
			}
		}
	}
	if len(doomed) == 0 {
		return result, nil
	}
	deleted, errs := k.client.DeleteWithPropagationPolicy(doomed, policy)
	for i, err := range errs {
		errs[i] = k.fail(&refusedError{object: k.op.keyOf(doomed[0]), verb: "delete", cause: err})
	}
	if deleted != nil {
		result = deleted
	}
	return result, errs
}

// Wait waits until objects are ready, Jobs included: a Job that still runs is not done.
func (k *ctxKube) Wait(resources kube.ResourceList, _ time.Duration) error {
	return k.fail(k.op.waitReady(resources))
}

// WaitWithJobs is Wait.
func (k *ctxKube) WaitWithJobs(resources kube.ResourceList, _ time.Duration) error {
	err := k.op.waitReady(resources)
	k.ready = err == nil
	return k.fail(err)
}

// WatchUntilReady waits until hooks are done. The operation's own timeout counts, for hooks and readiness together.
func (k *ctxKube) WatchUntilReady(resources kube.ResourceList, _ time.Duration) error {
	return k.fail(k.op.waitHooks(resources))
}

// WaitForDelete waits until objects are gone.
func (k *ctxKube) WaitForDelete(resources kube.ResourceList, _ time.Duration) error {
	return k.fail(k.op.waitGone(resources))
}

// WaitAndGetCompletedPodPhase waits until a pod has ended.
func (k *ctxKube) WaitAndGetCompletedPodPhase(name string, timeout time.Duration) (corev1.PodPhase, error) {
	ctx, cancel := context.WithTimeout(k.op.ctx, timeout)
	defer cancel()
	phase, err := k.op.waitPodEnd(ctx, name)
	return phase, k.fail(err)
}

// IsReachable sends no request: the cluster has just proved who it is.
func (k *ctxKube) IsReachable() error { return k.fail(k.op.ended()) }

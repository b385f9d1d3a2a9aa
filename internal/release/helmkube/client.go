// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package helmkube is Helm's way to the cluster, in the form in which a release needs it: it stops with the operation, names the
// object of each error, waits with package rollout, and cleans up what failed revisions left.
package helmkube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/storage"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

var (
	_ kube.Interface                    = (*Client)(nil)
	_ kube.InterfaceExt                 = (*Client)(nil)
	_ kube.InterfaceThreeWayMerge       = (*Client)(nil)
	_ kube.InterfaceDeletionPropagation = (*Client)(nil)
)

// Options are what a Client works with.
type Options struct {
	// Context is the operation's: Helm passes none.
	Context context.Context
	// Target is the release whose objects are written.
	Target ownership.Release
	// Config makes clients whose writes end with the operation.
	Config *rest.Config
	Waiter *rollout.Waiter
	// Lookups are the namespaces, besides the release's own, in which templates may read with lookup.
	Lookups []string
	// Ended returns why the operation must stop, nil while it may continue.
	Ended func() error
	// Redact takes secrets out of texts; Doing receives what is in progress.
	Redact func(string) string
	Doing  func(string)
	// Taking says which running objects are taken over. Without it, Helm itself refuses what does not carry its labels.
	Taking ownership.Taking
}

// Client is Helm's way to the cluster. Helm passes no context and waits with readers that call a failed Pod ready; here
// every step looks at the operation first, objects are written one by one so that an error names its object, and the waits are
// those of package rollout.
type Client struct {
	options     Options
	guard       *ownership.Guard
	getter      *restGetter
	helm        *kube.Client
	autoscalers autoscale.Source
	// Attempted are the objects of failed revisions newer than the deployed one: what they left is cleaned up by the next
	// revision that is written.
	Attempted kube.ResourceList
	// failure is the first thing that went wrong. Helm turns errors into text, so it is kept here.
	failure error
	// written is the manifest that an upgrade or a rollback writes, and learns says that the next one built is it. Others that are
	// built are bases of three-way patches: of kinds that the cluster does not serve any more, nothing is left to compare with.
	written string
	learns  bool
	// ready says that what was written has become ready.
	ready bool
	// restoring, where it is set, restores custom resources that were changed by hand: Helm does not look at them.
	restoring *restoring
}

// New makes a client for one Helm action. It is never shared: what went wrong in one action says nothing about another.
func New(options Options) (*Client, error) {
	reads, err := options.Target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	getter := &restGetter{cluster: options.Target.Cluster, config: options.Config, namespace: options.Target.Handle.Namespace}
	helm := kube.New(getter)
	helm.Namespace = options.Target.Handle.Namespace
	return &Client{
		options: options, guard: ownership.NewGuard(options.Target), getter: getter, helm: helm, autoscalers: autoscale.Live(reads),
	}, nil
}

// Configuration is what one Helm action works with: this client, and releases in which each revision is stored.
func (k *Client) Configuration(releases *storage.Storage, capabilities *chartutil.Capabilities) *action.Configuration {
	return &action.Configuration{
		RESTClientGetter: &lookupGetter{restGetter: k.getter, client: k},
		Releases:         releases,
		KubeClient:       k,
		Capabilities:     capabilities,
		Log:              func(string, ...any) {},
	}
}

// ExpectBuilt says that the next manifest that Helm builds is the one that it writes, Expect which one it writes.
func (k *Client) ExpectBuilt() { k.learns = true }

// Expect says which manifest Helm writes.
func (k *Client) Expect(manifest string) { k.written = manifest }

// RestoreFields restores fields of custom resources that were changed by hand, except for what ignore covers.
func (k *Client) RestoreFields(ignore []object.IgnoreRule) {
	k.restoring = &restoring{client: k, ignore: ignore}
}

// Failure is the first thing that went wrong, nil where nothing did. What Helm returns has only its text.
func (k *Client) Failure() error { return k.failure }

// Ready reports that what was written has become ready.
func (k *Client) Ready() bool { return k.ready }

// Fail keeps the first failure, and returns it in the form that may be stored and shown.
func (k *Client) Fail(err error) error {
	if err == nil {
		return nil
	}
	if k.failure == nil {
		k.failure = err
	}
	return errors.New(k.options.Redact(explain.Library(err)))
}

// Transient reports that what went wrong first may go by itself.
func (k *Client) Transient() bool {
	var refused *RefusedError
	if errors.As(k.failure, &refused) {
		return cluster.IsTransient(refused.Cause)
	}
	return cluster.IsTransient(k.failure)
}

// Build turns a manifest into objects. It does not validate: that costs six requests and says no more than the API server. Helm asks
// for it only where it builds hooks.
func (k *Client) Build(reader io.Reader, hook bool) (kube.ResourceList, error) {
	if err := k.options.Ended(); err != nil {
		return nil, k.Fail(err)
	}
	manifest, err := io.ReadAll(reader)
	if err != nil {
		return nil, k.Fail(fmt.Errorf("reading the rendered objects: %w", err))
	}
	if k.learns && !hook {
		k.learns, k.written = false, string(manifest)
	}
	list, err := k.helm.Build(bytes.NewReader(manifest), false)
	if err != nil && !hook && k.written != "" && k.written != string(manifest) {
		// Helm would never get away from such a revision, neither forwards nor backwards.
		if known, err := k.BuildServed(string(manifest)); err == nil {
			return known, nil
		}
	}
	if err != nil {
		return nil, k.Fail(fmt.Errorf("matching the rendered objects with what the cluster serves: %w", err))
	}
	return list, nil
}

// permit refuses what is not to be written, before the first of the objects is. Templates that ask the cluster, and stored releases that
// another program changed, hold objects that no plan has shown.
func (k *Client) permit(resources kube.ResourceList) error {
	for _, info := range resources {
		if err := k.guard.Check(k.options.Context, k.KeyOf(info), info.Namespace); err != nil {
			return k.Fail(err)
		}
	}
	if !k.options.Taking.Allowed || isHookList(resources) {
		return nil
	}
	for _, info := range resources {
		if err := k.permitTaking(info); err != nil {
			return k.Fail(err)
		}
	}
	return nil
}

// permitTaking refuses an object that exists and has an owner from whom it is not taken over. Helm takes over whatever exists.
func (k *Client) permitTaking(info *resource.Info) error {
	live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return &RefusedError{Object: k.KeyOf(info), Verb: "read", Cause: err}
	}
	accessor, err := meta.Accessor(live)
	if err != nil {
		return err
	}
	target := k.options.Target
	reason, cure := k.options.Taking.Refusal(target, target.OwnerOf(accessor))
	if reason == "" {
		return nil
	}
	return &ownership.Error{Release: target.Name, Namespace: target.Handle.Namespace,
		Reason: fmt.Sprintf("%s exists, and %s. Nothing was written.", k.KeyOf(info).Short(), reason), Advice: cure}
}

// Create makes hooks, and the objects of a release of which none exists yet.
func (k *Client) Create(resources kube.ResourceList) (*kube.Result, error) {
	hook := isHookList(resources)
	if hook {
		k.options.Doing("running the hook " + shortNames(resources))
	} else {
		k.options.Doing("creating " + object.Count(len(resources)))
		if err := startScaled(resources); err != nil {
			return &kube.Result{}, k.Fail(err)
		}
	}
	result := &kube.Result{}
	if err := k.permit(resources); err != nil {
		return result, err
	}
	for _, info := range resources {
		if err := k.options.Ended(); err != nil {
			return result, k.Fail(err)
		}
		if _, err := k.helm.Create(kube.ResourceList{info}); err != nil {
			return result, k.Fail(&RefusedError{Object: k.KeyOf(info), Verb: "create", Hook: hook, Cause: err})
		}
		result.Created = append(result.Created, info)
	}
	if hook {
		return result, nil
	}
	return result, k.removeAttempted(resources, result)
}

// Update writes target over original, object by object, and removes what only original has.
func (k *Client) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	k.options.Doing("writing " + object.Count(len(target)))
	result := &kube.Result{}
	if err := k.permit(target); err != nil {
		return result, err
	}
	bases := []kube.ResourceList{original}
	for _, info := range k.Attempted {
		bases = append(bases, kube.ResourceList{info})
	}
	for _, base := range bases {
		if err := dropHPAReplicas(k.options.Context, k.autoscalers, base, target); err != nil {
			return result, k.Fail(err)
		}
	}
	for _, info := range target {
		if err := k.options.Ended(); err != nil {
			return result, k.Fail(err)
		}
		restore, err := k.restoring.prepare(info)
		if err != nil {
			return result, k.Fail(err)
		}
		written, err := k.updateOne(original, info, force)
		if written != nil {
			result.Created = append(result.Created, written.Created...)
			result.Updated = append(result.Updated, written.Updated...)
		}
		if err != nil {
			return result, k.Fail(&RefusedError{Object: k.KeyOf(info), Verb: "write", Cause: err})
		}
		if err := restore(); err != nil {
			return result, k.Fail(&RefusedError{Object: k.KeyOf(info), Verb: "correct", Cause: err})
		}
	}
	if err := k.removeAll(original.Difference(target), result); err != nil {
		return result, err
	}
	return result, k.removeAttempted(target, result)
}

// UpdateThreeWayMerge writes target over objects that exist and are taken over.
func (k *Client) UpdateThreeWayMerge(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	return k.Update(original, target, force)
}

// updateOne lets Helm compute and send the patch of one object. Where failed revisions touched it, what they had written
// counts as original too, or their fields would stay for ever.
func (k *Client) updateOne(original kube.ResourceList, info *resource.Info, force bool) (*kube.Result, error) {
	var before kube.ResourceList
	base := original.Get(info)
	if base != nil {
		before.Append(base)
	}
	attempted := k.Attempted.Filter(func(other *resource.Info) bool { return sameObject(other, info) })
	switch {
	case len(attempted) > 0:
	case base == info:
		// It is taken over: what is written is compared with what is live, of custom resources too.
		return k.helm.UpdateThreeWayMerge(before, kube.ResourceList{info}, force)
	default:
		return k.helm.Update(before, kube.ResourceList{info}, force)
	}
	merged, err := mergeOriginals(append(before, attempted...))
	if err != nil {
		return nil, err
	}
	return k.helm.UpdateThreeWayMerge(kube.ResourceList{merged}, kube.ResourceList{info}, force)
}

// removeAttempted removes what only failed revisions made.
func (k *Client) removeAttempted(target kube.ResourceList, result *kube.Result) error {
	var orphans kube.ResourceList
	for _, info := range k.Attempted {
		if !containsObject(target, info) && !containsObject(orphans, info) && !containsObject(result.Deleted, info) {
			orphans.Append(info)
		}
	}
	return k.removeAll(orphans, result)
}

// removeAll deletes objects that are still this release's own and are not to be kept. Unlike Helm it does not pass over
// errors: what could not be deleted would otherwise stay without anybody knowing.
func (k *Client) removeAll(resources kube.ResourceList, result *kube.Result) error {
	for _, info := range resources {
		if err := k.options.Ended(); err != nil {
			return k.Fail(err)
		}
		mine, err := k.mayDelete(info)
		if err != nil {
			return k.Fail(&RefusedError{Object: k.KeyOf(info), Verb: "read", Cause: err})
		}
		if !mine {
			continue
		}
		if _, errs := k.helm.Delete(kube.ResourceList{info}); len(errs) > 0 {
			return k.Fail(&RefusedError{Object: k.KeyOf(info), Verb: "delete", Cause: errors.Join(errs...)})
		}
		result.Deleted = append(result.Deleted, info)
	}
	return nil
}

// mayDelete reports that an object exists, belongs to this release, and is not to be kept.
func (k *Client) mayDelete(info *resource.Info) (bool, error) {
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
	return ownership.Owns(annotations, k.options.Target.Name, k.options.Target.Handle.Namespace) &&
		annotations[kube.ResourcePolicyAnno] != kube.KeepPolicy, nil
}

// Delete removes hooks.
func (k *Client) Delete(resources kube.ResourceList) (*kube.Result, []error) {
	return k.DeleteWithPropagationPolicy(resources, metav1.DeletePropagationBackground)
}

// DeleteWithPropagationPolicy removes hooks, and the objects of a release that is uninstalled. Objects that another release
// has taken over meanwhile stay.
func (k *Client) DeleteWithPropagationPolicy(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	result := &kube.Result{}
	if err := k.options.Ended(); err != nil {
		return result, []error{k.Fail(err)}
	}
	doomed := resources
	if isHookList(resources) {
		if err := k.permit(resources); err != nil {
			return result, []error{err}
		}
	} else {
		k.options.Doing("deleting " + object.Count(len(resources)))
		doomed = nil
		for _, info := range resources {
			mine, err := k.mayDelete(info)
			if err != nil {
				return result, []error{k.Fail(&RefusedError{Object: k.KeyOf(info), Verb: "read", Cause: err})}
			}
			if mine {
				doomed.Append(info)
			}
		}
	}
	if len(doomed) == 0 {
		return result, nil
	}
	deleted, errs := k.helm.DeleteWithPropagationPolicy(doomed, policy)
	for i, err := range errs {
		errs[i] = k.Fail(&RefusedError{Object: k.KeyOf(doomed[0]), Verb: "delete", Cause: err})
	}
	if deleted != nil {
		result = deleted
	}
	return result, errs
}

// Wait waits until objects are ready, Jobs included: a Job that still runs is not done.
func (k *Client) Wait(resources kube.ResourceList, _ time.Duration) error {
	return k.Fail(k.options.Waiter.Ready(k.options.Context, resources))
}

// WaitWithJobs is Wait.
func (k *Client) WaitWithJobs(resources kube.ResourceList, _ time.Duration) error {
	err := k.options.Waiter.Ready(k.options.Context, resources)
	k.ready = err == nil
	return k.Fail(err)
}

// WatchUntilReady waits until hooks are done. The operation's own timeout counts, for hooks and readiness together.
func (k *Client) WatchUntilReady(resources kube.ResourceList, _ time.Duration) error {
	return k.Fail(k.options.Waiter.Hooks(k.options.Context, resources))
}

// WaitForDelete waits until objects are gone.
func (k *Client) WaitForDelete(resources kube.ResourceList, _ time.Duration) error {
	return k.Fail(k.options.Waiter.Gone(k.options.Context, resources))
}

// WaitAndGetCompletedPodPhase waits until a pod has ended.
func (k *Client) WaitAndGetCompletedPodPhase(name string, timeout time.Duration) (corev1.PodPhase, error) {
	ctx, cancel := context.WithTimeout(k.options.Context, timeout)
	defer cancel()
	phase, err := k.options.Waiter.PodEnd(ctx, name)
	return phase, k.Fail(err)
}

// IsReachable sends no request: the cluster has just proved who it is.
func (k *Client) IsReachable() error { return k.Fail(k.options.Ended()) }

// KeyOf names an object as everywhere in a release.
func (k *Client) KeyOf(info *resource.Info) object.Key {
	apiVersion, kind := info.Mapping.GroupVersionKind.ToAPIVersionAndKind()
	return object.NewKey(apiVersion, kind, info.Namespace, info.Name, k.options.Target.Handle.Namespace)
}

// Match turns a manifest into the form in which objects are waited for. It is no part of a Helm action, and keeps no failure.
func (k *Client) Match(manifest string) (kube.ResourceList, error) {
	return k.helm.Build(strings.NewReader(manifest), false)
}

// CreateDefinition creates one CustomResourceDefinition, before the Helm action.
func (k *Client) CreateDefinition(info *resource.Info) (*kube.Result, error) {
	return k.helm.Create(kube.ResourceList{info})
}

// BuildServed builds what the cluster still serves of a stored manifest: kinds that are gone leave nothing to clean up.
func (k *Client) BuildServed(manifest string) (kube.ResourceList, error) {
	objects, err := object.ParseManifest(manifest, k.options.Target.Handle.Namespace)
	if err != nil {
		return nil, err
	}
	var out kube.ResourceList
	for _, o := range objects {
		text, err := json.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("reading stored object %s: %w", o.Key, err)
		}
		list, err := k.helm.Build(io.Reader(strings.NewReader(string(text))), false)
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package rollout waits until the objects of a release are ready, have ended, or are gone, and explains why they are not. Helm's own
// waits take a failed Pod, a running Job and a workload without pods for ready.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

const (
	// PollEvery is the pace of all waits: a request per second and kind.
	PollEvery = time.Second
	// podsEvery is the pace at which the pods of a workload that is not ready are looked at.
	podsEvery = 3 * time.Second
	// noPodsAfter is how long a workload may be without pods before its events are asked why.
	noPodsAfter = 4 * time.Second
	// askTimeout bounds one look at all objects. It keeps the progress going while the API server does not answer.
	askTimeout = 40 * time.Second
	// blameTimeout bounds the look at the pods of objects that were not ready in time.
	blameTimeout = 20 * time.Second
)

// Waiter waits for objects of one release. It only reads. A wait ends early with a *NotReadyError when it sees trouble that does not
// heal, with the cause of its context's end, or with the error of Valid.
type Waiter struct {
	// Release and Namespace say whose objects are waited for.
	Release, Namespace string
	Kubernetes         kubernetes.Interface
	Dynamic            dynamic.Interface
	// Classify gives errors of requests their type.
	Classify func(error) error
	// Valid returns why nothing may be done any more, although the context has not ended; nil: nothing says so.
	Valid  func() error
	Graces Graces
	// Endpoints makes Ready wait for the endpoints of Services as well; nil: it does not.
	Endpoints *Endpoints
	// Redact takes secrets out of a text; nil: there are none.
	Redact func(string) string
	// Say passes on a sentence on a topic, Doing what is in progress. Both may be nil.
	Say   func(topic, sentence string)
	Doing func(what string)

	// Pending are the objects that were not ready when the last wait ran out of time.
	Pending []ObjectReport
	// Blamed says that some of them had pods that ran and were not ready: the version is slow, not the cluster.
	Blamed bool
	// Silence is why the API server did not answer when a wait ran out of time; nil where it did. Nothing is known about the objects then.
	Silence error
}

// Ready waits until all objects of a release are ready, with the least number of pods that their autoscalers give them, in one and the
// same look, and then until its Services have endpoints.
func (w *Waiter) Ready(ctx context.Context, resources kube.ResourceList) error {
	least := map[autoscale.Target]int64{}
	for _, info := range resources {
		if o, ok := info.Object.(*unstructured.Unstructured); ok {
			autoscale.AddLeast(least, info.Namespace, o.Object)
		}
	}
	var all []*watched
	for _, info := range resources {
		if isWaitable(info) {
			o := newWatched(info)
			o.least = least[autoscale.Target{Namespace: info.Namespace, Kind: info.Mapping.GroupVersionKind.Kind, Name: info.Name}]
			all = append(all, o)
		}
	}
	w.doing("waiting for " + object.Count(len(all)) + " to become ready")
	if err := w.wait(ctx, all, false); err != nil {
		return err
	}
	return w.serve(ctx, resources)
}

// Hooks waits until the Jobs and Pods among hooks have ended well. Other kinds are done when they are made.
func (w *Waiter) Hooks(ctx context.Context, resources kube.ResourceList) error {
	var all []*watched
	for _, info := range resources {
		if kind := info.Mapping.GroupVersionKind.Kind; kind == "Job" || kind == "Pod" {
			all = append(all, newWatched(info))
		}
	}
	return w.wait(ctx, all, true)
}

// Gone waits until objects are deleted. One that stays is named, with the finalizers that block it.
func (w *Waiter) Gone(ctx context.Context, resources kube.ResourceList) error {
	var open []*watched
	for _, info := range resources {
		open = append(open, newWatched(info))
	}
	for len(open) > 0 {
		if err := w.ended(ctx); err != nil {
			if errors.Is(err, operation.ErrDeadline) {
				w.Pending = nil
				for _, o := range open {
					w.Pending = append(w.Pending, ObjectReport{Object: w.reader().key(o.info), Observed: o.status.text})
				}
			}
			return err
		}
		answered, err := w.ask(ctx, open, func(ctx context.Context) error { return w.reader().fetchEach(ctx, open) })
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !answered {
			Pause(ctx, PollEvery)
			continue
		}
		var still []*watched
		for _, o := range open {
			if o.live == nil || (o.live.GetDeletionTimestamp() == nil && !w.ours(o)) {
				continue
			}
			o.status.text = "is still being deleted"
			if f := o.live.GetFinalizers(); len(f) > 0 {
				o.status.text += ", blocked by the finalizers " + strings.Join(f, ", ")
			}
			w.say("gone "+string(w.reader().key(o.info)), "waiting until "+w.reader().key(o.info).Short()+" is gone")
			still = append(still, o)
		}
		if open = still; len(open) > 0 {
			Pause(ctx, PollEvery/2)
		}
	}
	return nil
}

// PodEnd waits until a pod has succeeded or failed.
func (w *Waiter) PodEnd(ctx context.Context, name string) (corev1.PodPhase, error) {
	for {
		if ctx.Err() != nil {
			return corev1.PodUnknown, context.Cause(ctx)
		}
		pod, err := w.Kubernetes.CoreV1().Pods(w.Namespace).Get(ctx, name, metav1.GetOptions{})
		if cluster.IsOutage(err) {
			Pause(ctx, PollEvery)
			continue
		}
		if err != nil {
			return corev1.PodUnknown, fmt.Errorf("reading Pod/%s: %w", name, err)
		}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return pod.Status.Phase, nil
		}
		Pause(ctx, PollEvery)
	}
}

// Ran reports that the program of one of the pods of these objects has run, or does. It works after the context has ended.
func (w *Waiter) Ran(ctx context.Context, resources kube.ResourceList) bool {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), diagnoseTimeout)
	defer stop()
	all := make([]*watched, 0, len(resources))
	for _, info := range resources {
		all = append(all, newWatched(info))
	}
	if err := w.reader().fetchEach(ctx, all); err != nil {
		return false
	}
	for _, o := range all {
		if o.live == nil {
			continue
		}
		pods, _, err := w.reader().allPods(ctx, o.live)
		if err != nil {
			return false
		}
		if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return podRan(&p) }) {
			return true
		}
	}
	return false
}

// Hook reports whether a hook (a Job or a Pod) has not ended, and whether one of its pods has begun or may begin.
func (w *Waiter) Hook(ctx context.Context, kind, namespace, name string) (active, started bool, err error) {
	if kind == "Pod" {
		pod, err := w.Kubernetes.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if cluster.IsNotFound(err) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		return PodActive(pod), w.Graces.MayStart(pod), nil
	}
	found, err := w.Kubernetes.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	if !JobActive(found) {
		return false, false, nil
	}
	selector := metav1.FormatLabelSelector(found.Spec.Selector)
	pods, err := w.Kubernetes.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return false, false, err
	}
	if len(pods.Items) == 0 {
		return true, true, nil
	}
	return true, slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return w.Graces.MayStart(&p) }), nil
}

func (w *Waiter) wait(ctx context.Context, all []*watched, hook bool) error {
	if len(all) == 0 {
		return w.ended(ctx)
	}
	w.Pending, w.Silence = nil, nil
	open := all
	for {
		if err := w.ended(ctx); err != nil {
			return w.stop(ctx, err, open, hook)
		}
		if err := w.look(ctx, open, hook); err != nil {
			if ctx.Err() != nil {
				continue
			}
			return err
		}
		open = notReady(open)
		if len(open) == 0 {
			// Objects that became ready early may not be so any more.
			if len(all) > 1 {
				if err := w.look(ctx, all, hook); err != nil {
					if ctx.Err() != nil {
						open = all
						continue
					}
					return err
				}
			}
			if open = notReady(all); len(open) == 0 {
				return nil
			}
		}
		for _, o := range open {
			if t := o.overdue(); t != nil {
				reports := w.diagnose(ctx, open, o)
				return &NotReadyError{Cause: w.reader().key(o.info).Short() + ": " + t.text, Kind: t.kind, Hook: hook, Reports: reports}
			}
			w.say(string(w.reader().key(o.info)), w.redact("waiting for "+w.reader().key(o.info).Short()+": "+o.status.text))
		}
		Pause(ctx, PollEvery)
	}
}

// stop looks a last time at what was waited for, unless Terraform waits for the provider to end.
func (w *Waiter) stop(ctx context.Context, cause error, open []*watched, hook bool) error {
	if errors.Is(cause, operation.ErrDeadline) {
		w.Pending, w.Blamed = w.diagnose(ctx, open, nil), !hook && w.blames(ctx, open)
		if hook {
			return fmt.Errorf("waiting for a hook: %w", cause)
		}
	}
	return cause
}

// look reads objects and assesses them. An API server that does not answer for a while is waited for like everything else.
func (w *Waiter) look(ctx context.Context, all []*watched, hook bool) error {
	_, err := w.ask(ctx, all, func(ctx context.Context) error {
		if err := w.reader().fetch(ctx, all); err != nil {
			return err
		}
		for _, o := range all {
			if err := w.assess(ctx, o, hook); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// ask reads, and reports whether the API server has answered. While it does not, its silence is the status of the objects.
func (w *Waiter) ask(ctx context.Context, all []*watched, read func(context.Context) error) (answered bool, err error) {
	asking, stop := context.WithTimeout(ctx, askTimeout)
	defer stop()
	err = read(asking)
	switch {
	case err == nil:
		w.Silence = nil
		return true, nil
	case !cluster.IsOutage(err) && (asking.Err() == nil || ctx.Err() != nil):
		return false, w.Classify(err)
	}
	w.Silence = w.Classify(err)
	for _, o := range all {
		o.status = status{text: "the API server does not answer: " + explain.Library(err)}
	}
	return false, nil
}

// assess sets the status of one object: by itself, then by the pods that it made for its present template.
func (w *Waiter) assess(ctx context.Context, o *watched, hook bool) error {
	if o.live == nil {
		o.status = status{text: "does not exist", trouble: &trouble{
			kind: troubleVanished, text: "it does not exist any more: another user deleted it, or its namespace", grace: w.Graces.Vanished,
		}}
		return nil
	}
	s, err := w.Graces.readiness(o.live)
	if err != nil {
		return err
	}
	if hook {
		s = hookStatus(o.live, s)
	}
	if s.ready {
		s = o.scaled(s)
	}
	o.status = s
	if s.ready || s.unseen || s.trouble != nil && s.trouble.grace == 0 {
		return nil
	}
	if o.live.GetKind() == "PersistentVolumeClaim" {
		return w.assessClaim(ctx, o)
	}
	if time.Since(o.podsAt) >= podsEvery {
		if o.podTrouble, err = w.troubleOfPods(ctx, o); err != nil {
			return err
		}
		o.podsAt = time.Now()
	}
	// What hinders a container says more than what the workload makes of it.
	if o.podTrouble != nil {
		o.status.trouble = o.podTrouble
	}
	return nil
}

// troubleOfPods finds what keeps the pods of a workload from running. Those of an earlier template may be broken without being in the
// way.
func (w *Waiter) troubleOfPods(ctx context.Context, o *watched) (*trouble, error) {
	pods, selector, err := w.reader().allPods(ctx, o.live)
	if err != nil {
		return nil, err
	}
	o.remember(pods)
	if len(pods) == 0 && makesPods(o.live) && time.Since(o.live.GetCreationTimestamp().Time) > noPodsAfter {
		message, err := w.reader().refusedPods(ctx, o.live)
		if err != nil || message == "" {
			return nil, err
		}
		return &trouble{kind: troubleRefused, text: "its pods are refused: " + message, grace: w.Graces.Refused}, nil
	}
	found := func(p *corev1.Pod) *trouble {
		t := w.Graces.podTrouble(p, o.restarts)
		if t != nil && t.kind == TroubleCrash && o.live.GetKind() == "Job" {
			return nil
		}
		return t
	}
	broken := slices.DeleteFunc(pods, func(p corev1.Pod) bool { return found(&p) == nil })
	if len(broken) == 0 {
		return nil, nil
	}
	if broken, err = w.reader().presentPods(ctx, o.live, selector, broken); err != nil || len(broken) == 0 {
		return nil, err
	}
	return found(&broken[0]), nil
}

// assessClaim passes claims that wait for their first pod: the pod is waited for anyway.
func (w *Waiter) assessClaim(ctx context.Context, o *watched) error {
	name, _, _ := unstructured.NestedString(o.live.Object, "spec", "storageClassName")
	if name == "" {
		return nil
	}
	class, err := w.Kubernetes.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		// Storage classes are cluster-wide, and reading them is no right that a deployer must have.
		o.status.text += fmt.Sprintf(" (its storage class cannot be read: %s)", explain.Library(err))
		return nil //nolint:nilerr // Said in the status.
	}
	if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
		o.status = status{ready: true}
	}
	return nil
}

// ours reports that an object that is not being deleted is one that we wait for; others were left out of the deletion, because they
// are kept or belong to another release by now.
func (w *Waiter) ours(o *watched) bool {
	annotations := o.live.GetAnnotations()
	if annotations["helm.sh/hook"] != "" {
		return true
	}
	return ownership.Owns(annotations, w.Release, w.Namespace) &&
		annotations[kube.ResourcePolicyAnno] != kube.KeepPolicy
}

// blames reports that what was waited for had pods that ran, though not ready, and none that something outside of them held up.
func (w *Waiter) blames(ctx context.Context, open []*watched) bool {
	ran := false
	for _, o := range open {
		if o.live == nil {
			continue
		}
		if o.status.trouble != nil && o.status.trouble.kind != TroubleCrash {
			return false
		}
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), blameTimeout)
		pods, err := w.reader().podsOf(ctx, o.live)
		stop()
		if err != nil {
			return false
		}
		ran = ran || slices.ContainsFunc(pods, func(p corev1.Pod) bool { return runsUnready(&p, time.Now()) })
	}
	return ran
}

// diagnose describes objects that are not ready, also after the context has ended.
func (w *Waiter) diagnose(ctx context.Context, open []*watched, cause *watched) []ObjectReport {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), diagnoseTimeout)
	defer stop()
	d := &diagnosis{ctx: ctx, reader: w.reader(), redact: w.redact}
	return d.reports(open, cause)
}

func (w *Waiter) reader() reader {
	return reader{kubernetes: w.Kubernetes, dynamic: w.Dynamic, namespace: w.Namespace}
}

func (w *Waiter) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.Valid == nil {
		return nil
	}
	return w.Valid()
}

func (w *Waiter) redact(text string) string {
	if w.Redact == nil {
		return text
	}
	return w.Redact(text)
}

func (w *Waiter) say(topic, sentence string) {
	if w.Say != nil {
		w.Say(topic, sentence)
	}
}

func (w *Waiter) doing(what string) {
	if w.Doing != nil {
		w.Doing(what)
	}
}

// Pause waits, but not longer than ctx.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

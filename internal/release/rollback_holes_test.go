// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Each test shows first what Helm by itself does, and then what a verified apply does in the same place.

// upgradeByHelm is what the helm program does.
func (b *bench) upgradeByHelm(name string, spec Spec, change ...func(*action.Upgrade)) error {
	b.t.Helper()
	upgrade := action.NewUpgrade(b.foreignConfiguration())
	upgrade.Namespace = b.namespace()
	for _, c := range change {
		c(upgrade)
	}
	chart, err := spec.Chart.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = upgrade.Run(name, chart, spec.Values)
	return err
}

func (b *bench) rollBackByHelm(name string, revision int, change ...func(*action.Rollback)) error {
	b.t.Helper()
	rollback := action.NewRollback(b.foreignConfiguration())
	rollback.Version = revision
	for _, c := range change {
		c(rollback)
	}
	return rollback.Run(name)
}

// helmStatus is the status of a revision in Helm's storage.
func (b *bench) helmStatus(name string, revision int) string {
	b.t.Helper()
	stored, err := b.storage().Get(name, revision)
	if err != nil {
		return err.Error()
	}
	return stored.Info.Status.String()
}

func (b *bench) wantRefused(err error, parts ...string) {
	b.t.Helper()
	refused := asError[*RollbackError](b.t, err)
	if !refused.Refused {
		b.t.Errorf("it was not refused: %+v", refused)
	}
	wantText(b.t, err.Error(), parts...)
}

func TestRollback_IsNotBlockedByHooksThatFail(t *testing.T) {
	t.Parallel()
	blocking := jobHook("check", "pre-rollback", "no-such-command")

	alone := newBench(t)
	alone.foreignInstall(with(t, blocking), "app")
	if err := alone.upgradeByHelm("app", with(t, config("bad"))); err != nil {
		t.Fatal(err)
	}
	err := alone.rollBackByHelm("app", 1)
	if err == nil || alone.helmStatus("app", 3) != "pending-rollback" || alone.liveLevel() != "bad" {
		t.Errorf("Helm is not as it was: %v, revision 3 is %s, live is %s", err, alone.helmStatus("app", 3), alone.liveLevel())
	}

	b := newBench(t)
	b.mustApply(served(t, blocking), verified(asksReady()))
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	b.wantRestored(outcome, err, verify.StageSmokeTest, 3, 1)

	// Anyone who wants them to run gets a result from which the next apply resumes.
	asked := asksReady()
	asked.Rollback.RunHooks, asked.RetryToken = true, "with hooks"
	_, err = b.apply(t.Context(), notReadyVersion(t), verified(asked))
	failed := asError[*RollbackError](t, err)
	if failed.Refused || b.helmStatus("app", 5) != "failed" || b.helmStatus("app", 4) != "failed" {
		t.Errorf("%+v, revision 5 is %s", failed, b.helmStatus("app", 5))
	}
	wantText(t, err.Error(), "did not come to its end", "Job/app-check")
	// The same content is held, but the rollback that is due is finished first.
	asked.Rollback.RunHooks = false
	outcome, err = b.apply(t.Context(), notReadyVersion(t), verified(asked))
	wantError[*QuarantinedError](t, err)
	if outcome.Restored == nil || outcome.Restored.From != 3 || len(outcome.Recovered) == 0 {
		t.Errorf("outcome: %+v", outcome)
	}
	b.wantEnd(6, "deployed", record.RolledBack)
	b.mustApply(served(t, config("fixed")), verified(asked))
	b.wantEnd(7, "deployed", record.Deployed)
}

func TestRollback_IsRefusedWhereTheClusterNoLongerServesAKind(t *testing.T) {
	t.Parallel()
	gadget := func(group string) map[string]any {
		return map[string]any{"extra": []any{serviceFor("app"), map[string]any{
			"apiVersion": group + "/v1", "kind": "Gadget", "metadata": map[string]any{"name": "one"},
		}}}
	}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

	alone := newBench(t)
	group := strings.TrimPrefix(alone.namespace(), "slipway-release-") + ".example.com"
	remove := alone.serve(crds, group)
	alone.foreignInstall(with(t, gadget(group)), "app")
	if err := alone.upgradeByHelm("app", with(t, config("bad"))); err != nil {
		t.Fatal(err)
	}
	remove()
	err := alone.rollBackByHelm("app", 1)
	if err == nil || alone.helmStatus("app", 3) != "pending-rollback" {
		t.Errorf("Helm is not as it was: %v, revision 3 is %s", err, alone.helmStatus("app", 3))
	}

	b := newBench(t)
	group = strings.TrimPrefix(b.namespace(), "slipway-release-") + ".example.com"
	remove = b.serve(crds, group)
	b.target.Cluster.Invalidate()
	b.mustApply(with(t, gadget(group)), verified(asksReady()))
	ready, err := RollbackReady(t.Context(), b.target, mustObserve(b))
	if err != nil || !ready.Ready || ready.Revision != 1 {
		t.Errorf("%+v %v", ready, err)
	}
	remove()
	b.target.Cluster.Invalidate()
	ready, err = RollbackReady(t.Context(), b.target, mustObserve(b))
	if err != nil || ready.Ready {
		t.Errorf("%+v %v", ready, err)
	}
	wantText(t, ready.Why, "Gadget")
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	b.wantRefused(err, "Gadget", "does not serve any more", "go forward")
	if outcome.Restored != nil || outcome.Revision != 2 || outcome.Status != "failed" {
		t.Errorf("outcome: %+v", outcome)
	}
	b.wantEnd(2, "failed", record.Failed)
	b.mustApply(served(t, config("fixed")), verified(asksReady()))
	b.wantEnd(3, "deployed", record.Deployed)
}

// serve makes the cluster serve a kind, and returns what stops it.
func (b *bench) serve(crds schema.GroupVersionResource, group string) (remove func()) {
	b.t.Helper()
	client, err := b.target.Cluster.Dynamic()
	if err != nil {
		b.t.Fatal(err)
	}
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "gadgets." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": "Gadget", "plural": "gadgets", "singular": "gadget",
				"listKind": "GadgetList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
		},
	}}
	if _, err := client.Resource(crds).Create(b.t.Context(), crd, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
	gadgets := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "gadgets"}
	b.eventually("the kind is served", func() bool {
		_, err := client.Resource(gadgets).Namespace(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
		return err == nil
	})
	remove = func() {
		_ = client.Resource(crds).Delete(context.Background(), crd.GetName(), metav1.DeleteOptions{})
		b.eventually("the kind is gone", func() bool {
			_, err := client.Resource(gadgets).Namespace(b.namespace()).List(context.Background(), metav1.ListOptions{})
			return err != nil
		})
	}
	b.t.Cleanup(func() { _ = client.Resource(crds).Delete(context.Background(), crd.GetName(), metav1.DeleteOptions{}) })
	return remove
}

func mustObserve(b *bench) *Observation {
	b.t.Helper()
	seen, err := Observe(b.t.Context(), b.target)
	if err != nil {
		b.t.Fatal(err)
	}
	return seen
}

func TestRollback_SucceedsOnlyOntoPodsThatAreReady(t *testing.T) {
	t.Parallel()
	// With one replica and maxUnavailable 1 Helm is content with no pod at all.
	lenient := func(path string) map[string]any {
		return map[string]any{"deployment": false, "extra": []any{map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "app"}, "spec": map[string]any{
				"replicas": 1, "selector": map[string]any{"matchLabels": map[string]any{"app": "app"}},
				"strategy": map[string]any{"rollingUpdate": map[string]any{"maxUnavailable": 1}},
				"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "app"}}, "spec": map[string]any{
					"terminationGracePeriodSeconds": 0,
					"containers": []any{map[string]any{"name": "app", "image": harness.Image(), "args": []any{"serve"},
						"env": []any{map[string]any{"name": "READINESS_DELAY",
							"valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "outside", "key": "delay", "optional": true}}}},
						"readinessProbe": map[string]any{"periodSeconds": 1, "httpGet": map[string]any{"path": path, "port": 8080}}}},
				}},
			},
		}}}
	}

	alone := newBench(t)
	alone.foreignInstall(with(t, lenient("/not-there")), "app")
	if err := alone.upgradeByHelm("app", with(t, lenient("/healthz"))); err != nil {
		t.Fatal(err)
	}
	err := alone.rollBackByHelm("app", 1, func(r *action.Rollback) { r.Wait, r.Timeout = true, 20*time.Second })
	d, getErr := alone.client.AppsV1().Deployments(alone.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if getErr != nil {
		t.Fatal(getErr)
	}
	if err != nil || d.Status.ReadyReplicas != 0 {
		t.Errorf("Helm is not as it was: %v, %d pods are ready", err, d.Status.ReadyReplicas)
	}

	// The same with a version that was good, until something around it was changed.
	b := newBench(t)
	b.mustApply(with(t, lenient("/readyz")), verified(watchesPods(2*time.Second)))
	b.configMap("outside", map[string]string{"delay": "1h"})
	guard := watchesPods(2 * time.Second)
	guard.Rollback.Timeout = 25 * time.Second
	outcome, err := b.apply(t.Context(), with(t, lenient("/not-there")), verified(guard), timeout(20*time.Second))
	failed := asError[*RollbackError](t, err)
	if failed.Refused || outcome.Restored != nil {
		t.Errorf("%+v, outcome %+v", failed, outcome)
	}
	wantText(t, err.Error(), "The rollback to revision 1 did not come to its end", "not done after 25s")
	if got := b.helmStatus("app", 3); got != "failed" {
		t.Errorf("revision 3 is %s", got)
	}
	b.mustApply(with(t, config("fixed")), verified(watchesPods(2*time.Second)))
	b.wantEnd(4, "deployed", record.Deployed)
}

func (b *bench) configMap(name string, data map[string]string) {
	b.t.Helper()
	client, err := b.target.Cluster.Dynamic()
	if err != nil {
		b.t.Fatal(err)
	}
	content := map[string]any{}
	for k, v := range data {
		content[k] = v
	}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name}, "data": content}}
	if _, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(b.namespace()).
		Create(b.t.Context(), object, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func TestRollback_KeepsTheReplicasThatAnAutoscalerOwns(t *testing.T) {
	t.Parallel()
	scaled := map[string]any{"extra": []any{serviceFor("app"), map[string]any{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "app"}, "spec": map[string]any{
			"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
			"metrics": []any{map[string]any{"type": "Resource",
				"resource": map[string]any{"name": "cpu", "target": map[string]any{"type": "Utilization", "averageUtilization": 80}}}},
		},
	}}}
	scale := func(b *bench) {
		to := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: b.namespace()},
			Spec: autoscalingv1.ScaleSpec{Replicas: 3}}
		if _, err := b.client.AppsV1().Deployments(b.namespace()).UpdateScale(t.Context(), "app", to, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	replicas := func(b *bench) int32 {
		d, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *d.Spec.Replicas
	}

	alone := newBench(t)
	alone.foreignInstall(with(t, scaled), "app")
	if err := alone.upgradeByHelm("app", with(t, scaled, config("bad"))); err != nil {
		t.Fatal(err)
	}
	scale(alone)
	if err := alone.rollBackByHelm("app", 1); err != nil || replicas(alone) != 1 {
		t.Errorf("Helm is not as it was: %v, %d replicas", err, replicas(alone))
	}

	b := newBench(t)
	b.mustApply(with(t, scaled), verified(asksReady()))
	scale(b)
	outcome, err := b.apply(t.Context(), with(t, scaled, config("bad"), environmentOf("READINESS_DELAY", "1h")), verified(asksReady()))
	b.wantRestored(outcome, err, verify.StageSmokeTest, 3, 1)
	if got := replicas(b); got != 3 {
		t.Errorf("%d replicas are left of 3", got)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// services are objects of the test chart.
func services(all ...any) map[string]any { return map[string]any{"extra": all} }

func objectOf(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

// targeting gives a Service the targetPort, and fields of its spec.
func targeting(service map[string]any, targetPort any, fields ...any) map[string]any {
	spec := objectOf(service["spec"])
	spec["ports"] = []any{map[string]any{"name": "http", "port": 80, "targetPort": targetPort}}
	for i := 0; i < len(fields); i += 2 {
		spec[fmt.Sprint(fields[i])] = fields[i+1]
	}
	return service
}

func TestApply_FailsIfAServiceHasNoEndpoint(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		service, corrected map[string]any
		says               []string
	}{
		"a selector that matches no pod": {serviceTo("web", "nobody"), serviceTo("web", "app"), []string{
			"Service/web: port http (8080) has no ready endpoint: its selector app=nobody matches no pod",
			"selector app=nobody, ports http (8080)", "has the labels app=app", "Correct the selector", "slipway.dev/endpoints: optional",
		}},
		"a targetPort that names no port": {targeting(serviceTo("web", "app"), "htpp"), serviceTo("web", "app"), []string{
			"port http (80 → htpp) has no ready endpoint: targetPort htpp is the name of no container port", "Set targetPort",
		}},
		"a headless Service": {
			targeting(serviceTo("web", "nobody"), 8080, "clusterIP", "None"), targeting(serviceTo("web", "app"), 8080, "clusterIP", "None"),
			[]string{"matches no pod"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, err := b.apply(t.Context(), with(t, services(tc.service)))
			wantText(t, asError[*RolloutError](t, err).Error(), tc.says...)
			// What a failed revision left is no measure of what was there before.
			_, err = b.apply(t.Context(), with(t, services(tc.service)))
			wantError[*RolloutError](t, err)
			b.mustApply(with(t, services(tc.corrected)))
			b.wantEnd(3, "deployed", record.Deployed)
		})
	}
}

func TestApply_SucceedsIfNothingIsToAnswerForAService(t *testing.T) {
	t.Parallel()
	optional := serviceTo("spare", "nobody")
	objectOf(optional["metadata"])["annotations"] = map[string]any{"slipway.dev/endpoints": "optional"}
	job := map[string]any{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": map[string]any{"name": "nightly"}, "spec": map[string]any{
		"schedule": "0 0 1 1 *", "jobTemplate": map[string]any{"spec": map[string]any{"template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": "nightly"}},
			"spec":     map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{"name": "app", "image": "none"}}},
		}}},
	}}
	outside := map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "outside"},
		"spec": map[string]any{"type": "ExternalName", "externalName": "db.example.com"}}
	byHand := map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "by-hand"},
		"spec": map[string]any{"ports": []any{map[string]any{"port": 80}}}}
	headless := targeting(serviceTo("headless", "app"), 8080, "clusterIP", "None")
	for name, layers := range map[string][]map[string]any{
		"endpoints":              {services(serviceFor("app"), headless, targeting(serviceTo("unready", "app"), 8080, "publishNotReadyAddresses", true))},
		"scaled to zero":         {services(serviceFor("app")), {"replicas": 0}},
		"a CronJob":              {services(serviceTo("nightly", "nightly"), job)},
		"annotated":              {services(optional)},
		"without a selector":     {services(outside, byHand)},
		"a release without pods": {services(serviceTo("shared", "later")), {"deployment": false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			outcome := b.mustApply(with(t, layers...))
			if shared := name == "a release without pods"; shared != (len(outcome.Unserved) > 0) {
				t.Errorf("it says %q", outcome.Unserved)
			}
		})
	}
}

func TestApply_RollsBackARevisionWhoseServiceHasNoEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, services(serviceTo("web", "app"))), verified(watchesPods(2*time.Second)))
	outcome, err := b.apply(t.Context(), with(t, services(serviceTo("web", "nobody"))), verified(watchesPods(2*time.Second)))
	failure := asError[*VerificationError](t, err)
	wantText(t, failure.Error(), "Service/web", "app=nobody")
	if outcome.Restored == nil || outcome.Restored.From != 1 {
		t.Fatalf("nothing was restored: %+v", outcome)
	}
	s, err := b.client.CoreV1().Services(b.namespace()).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil || s.Spec.Selector["app"] != "app" {
		t.Errorf("the selector is %v, %v", s.Spec.Selector, err)
	}
	b.wantEnd(3, "deployed", record.RolledBack)
}

func TestApply_LeavesAServiceThatHadNoEndpointBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := []any{serviceTo("web", "app"), serviceTo("old", "app")}
	b.mustApply(with(t, services(before...)), verified(watchesPods(2*time.Second)))
	patch := []byte(`{"spec":{"selector":{"app":"gone"}}}`)
	if _, err := b.client.CoreV1().
		Services(b.namespace()).
		Patch(t.Context(), "old", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	after := with(t, services(serviceTo("web", "app"), serviceTo("old", "gone")), config("debug"))
	rendering, err := render.Chart(t.Context(), after, render.Options{ReleaseName: "app", Namespace: b.namespace(), Revision: 2})
	if err != nil {
		t.Fatal(err)
	}
	planned := ReviewConnections(t.Context(), b.target, rendering)
	if len(planned.Unserved) != 1 || planned.Unserved[0] != "old:http" || len(planned.Unmatched) != 1 || planned.Unread != "" {
		t.Errorf("the plan says %+v", planned)
	}
	outcome := b.mustApply(after, verified(watchesPods(2*time.Second)))
	if len(outcome.Unserved) != 1 || !strings.Contains(outcome.Unserved[0], "Service/old") {
		t.Errorf("it says %q", outcome.Unserved)
	}
	_, err = b.apply(t.Context(), with(t, services(serviceTo("web", "nobody"), serviceTo("old", "gone")), config("debug")))
	text := asError[*RolloutError](t, err).Error()
	if !strings.Contains(text, "Service/web") || strings.Contains(text, "Service/old") {
		t.Errorf("it says %s", text)
	}
	if _, err = b.apply(t.Context(), with(t, services(serviceTo("web", "app"), serviceTo("old", "gone")), config("info"))); err != nil {
		t.Error(err)
	}
}

func TestReviewConnections_AsksTheClusterForPodsOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.foreignInstall(with(t), "other")
	b.eventually("a pod of the other release", func() bool {
		pods, err := b.client.CoreV1().Pods(b.namespace()).List(t.Context(), metav1.ListOptions{LabelSelector: "app=other"})
		return err == nil && len(pods.Items) > 0
	})
	rendering, err := render.Chart(t.Context(), with(t, services(serviceTo("other", "other"), serviceTo("nobody", "nobody"))),
		render.Options{ReleaseName: "app", Namespace: b.namespace(), Install: true, Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	found := ReviewConnections(t.Context(), b.target, rendering)
	if len(found.Unmatched) != 1 ||
		!strings.HasPrefix(found.Unmatched[0], "Service/nobody: its selector app=nobody matches no rendered pod") ||
		found.Unread != "" ||
		slices.Contains(found.Unserved, "nobody:http") {
		t.Errorf("found %+v", found)
	}
}

// The number of pods is the autoscaler's: without it the API server makes one pod, and the others would start after the apply.
func TestApply_EndsWithThePodsThatTheAutoscalerGives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	least := func(n int) map[string]any {
		return map[string]any{"replicas": nil, "extra": []any{map[string]any{
			"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "app"},
			"spec": map[string]any{"minReplicas": n, "maxReplicas": 5, "scaleTargetRef": map[string]any{
				"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}},
		}}}
	}
	for _, n := range []int{2, 3} {
		b.mustApply(with(t, least(n)))
		d, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d.Status.AvailableReplicas < int32(n) {
			t.Errorf("after the apply %d pods are available, want %d: %+v", d.Status.AvailableReplicas, n, d.Status)
		}
	}
}

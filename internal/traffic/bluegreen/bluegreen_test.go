// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

func TestReplicasToServe(t *testing.T) {
	hpa := func(least, most int32) autoscalingv2.HorizontalPodAutoscaler {
		return autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &least, MaxReplicas: most}}
	}
	for name, test := range map[string]struct {
		now, before int32
		hpa         *autoscalingv2.HorizontalPodAutoscaler
		needed      int
		alone       bool
		want        int32
	}{
		"as it is, without an autoscaler":            {now: 2, needed: 9, alone: true, want: 2},
		"from zero to what it had":                   {before: 3, needed: 9, alone: true, want: 3},
		"from zero, and nobody knows what it had":    {needed: 9, alone: true, want: 1},
		"an idle color that has shrunk":              {now: 2, hpa: new(hpa(2, 50)), needed: 9, alone: true, want: 9},
		"no more than its autoscaler allows":         {now: 2, hpa: new(hpa(2, 5)), needed: 9, alone: true, want: 5},
		"never fewer than it has":                    {now: 7, hpa: new(hpa(2, 5)), needed: 1, alone: true, want: 7},
		"from zero to the autoscaler's least":        {before: 1, hpa: new(hpa(4, 50)), needed: 1, alone: true, want: 4},
		"one of several workloads does not take all": {now: 2, hpa: new(hpa(2, 50)), needed: 9, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			var scaler autoscalingv2.HorizontalPodAutoscaler
			if test.hpa != nil {
				scaler = *test.hpa
			}
			if got := replicasToServe(test.now, test.before, scaler, test.hpa != nil, test.needed, test.alone); got != test.want {
				t.Errorf("got %d replicas, want %d", got, test.want)
			}
		})
	}
}

func TestBlueGreenRecord_HoldsTheContentThatFailed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	failed := Quarantine{Color: Green, Content: "c", Policy: "p", Until: now.Add(time.Hour)}
	for name, test := range map[string]struct {
		color, content, policy, retry string
		cleared                       bool
		after                         time.Duration
		held                          bool
	}{
		"the same":            {Green, "c", "p", "", false, 0, true},
		"the other color":     {Blue, "c", "p", "", false, 0, false},
		"other pods":          {Green, "d", "p", "", false, 0, false},
		"another analysis":    {Green, "c", "q", "", false, 0, false},
		"another retry":       {Green, "c", "p", "again", false, 0, false},
		"cleared by hand":     {Green, "c", "p", "", true, 0, false},
		"just before its end": {Green, "c", "p", "", false, time.Hour - 1, true},
		"at its end":          {Green, "c", "p", "", false, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			record := blueGreenRecord{Quarantine: &failed, cleared: test.cleared}
			held := record.held(test.color, test.content, Spec{Policy: test.policy, Retry: test.retry}, now.Add(test.after))
			if (held != nil) != test.held {
				t.Errorf("held %v, want %v", held, test.held)
			}
		})
	}
}

// colors are a Service and pods of both colors behind it.
type colors struct {
	*traffictest.Bench
	target Target
}

func newColors(t *testing.T) *colors {
	t.Helper()
	b := traffictest.New(t)
	c := &colors{Bench: b, target: Target{
		Cluster: b.Cluster, Handle: b.Handle, Service: "app", Preview: "app-preview", Label: DefaultLabel,
	}}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: map[string]string{"example.com/mine": "yes"}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "app"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	if _, err := b.Kubernetes.CoreV1().Services(b.Handle.Namespace).Create(t.Context(), service, metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	return c
}

// pod makes a pod and waits until it is ready.
func (c *colors) pod(color string) {
	c.Helper()
	all := c.Kubernetes.CoreV1().Pods(c.Handle.Namespace)
	now := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: color, Labels: map[string]string{"app": "app", DefaultLabel: color}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &now,
			Containers:                    []corev1.Container{{Name: "app", Image: "registry.company.com/data-collection:v1.1.1", Args: []string{"serve"}}},
		},
	}
	if _, err := all.Create(c.Context(), pod, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		found, err := all.Get(c.Context(), color, metav1.GetOptions{})
		if err != nil {
			c.Fatal(err)
		}
		if pods.Ready(found) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("pod %s is not ready: %+v", color, found.Status)
		}
	}
}

func (c *colors) apply(spec Spec) (*Result, error) {
	return Apply(c.Context(), c.target, spec, Options{InstanceID: "one", Timeout: time.Minute})
}

func (c *colors) mustApply(spec Spec) {
	c.Helper()
	if _, err := c.apply(spec); err != nil {
		c.Fatal(err)
	}
}

func (c *colors) service() *corev1.Service {
	c.Helper()
	found, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Get(c.Context(), "app", metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return found
}

func (c *colors) wantLive(want string) {
	c.Helper()
	seen, err := Observe(c.Context(), c.target, nil, time.Now())
	if err != nil {
		c.Fatal(err)
	}
	if seen.Active != want || seen.Verification != "" {
		c.Errorf("live: %+v, want %s", seen, want)
	}
}

// judging answers with a verdict.
func judging(outcome analysis.Outcome, action analysis.Action) Judge {
	return func(context.Context, analysis.PodLister, *cluster.Lease, time.Time) (analysis.Verdict, []analysis.Sample, error) {
		return analysis.Verdict{Outcome: outcome, Action: action, Reason: "Because of the test."}, nil, nil
	}
}

func TestBlueGreen_WritesOneKeyOfTheSelectorOnly(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	c.pod(Green)
	before := c.service()
	c.mustApply(Spec{Active: Blue})
	c.mustApply(Spec{Active: Green})
	c.wantLive(Green)
	after := c.service()
	if after.Spec.Selector["app"] != "app" || len(after.Spec.Selector) != 2 || after.Annotations["example.com/mine"] != "yes" || after.Spec.ClusterIP != before.Spec.ClusterIP {
		t.Errorf("more than the color was changed: %+v, before %+v", after, before)
	}
}

func TestBlueGreen_ActsOnTheVerdict(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	c.pod(Green)
	c.mustApply(Spec{Active: Blue})

	// Too little is known before the switch, and after it.
	_, err := c.apply(Spec{Active: Green, Before: judging(analysis.Inconclusive, analysis.Hold)})
	traffictest.WantError[*HeldError](t, err)
	c.wantLive(Blue)
	_, err = c.apply(Spec{Active: Green, After: judging(analysis.Inconclusive, analysis.Rollback)})
	traffictest.WantError[*FailedError](t, err)
	c.wantLive(Blue)

	// Nothing is held back for that.
	_, err = c.apply(Spec{Active: Green, After: judging(analysis.Inconclusive, analysis.Hold)})
	traffictest.WantError[*HeldError](t, err)
	seen, err := Observe(t.Context(), c.target, nil, time.Now())
	if err != nil || seen.Active != Green || seen.Verification == "" {
		t.Errorf("held after the switch: %+v, %v", seen, err)
	}
	c.mustApply(Spec{Active: Green, After: judging(analysis.Passed, analysis.Accept)})
	c.wantLive(Green)
}

// The way back leads nowhere: blue has no ready pod any more.
func TestBlueGreen_StaysWhereTheOtherColorIsNotReady(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	c.pod(Green)
	c.mustApply(Spec{Active: Blue})
	failing := func(ctx context.Context, _ analysis.PodLister, _ *cluster.Lease, _ time.Time) (analysis.Verdict, []analysis.Sample, error) {
		now := int64(0)
		err := c.Kubernetes.CoreV1().Pods(c.Handle.Namespace).Delete(ctx, Blue, metav1.DeleteOptions{GracePeriodSeconds: &now})
		return analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: "Because of the test."}, nil, err
	}
	result, err := c.apply(Spec{Active: Green, After: failing})
	traffictest.WantError[*NoWayBackError](t, err)
	traffictest.WantError[*FailedError](t, err)
	if result.Active != Green {
		t.Errorf("live is %s, want green", result.Active)
	}
}

// A run was killed on its way back from green: the next one goes on, whatever it wants itself.
func TestBlueGreen_FinishesTheWayBack(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	c.pod(Green)
	c.mustApply(Spec{Active: Blue})
	_, err := c.apply(Spec{Active: Green, After: judging(analysis.Failed, analysis.Rollback)})
	traffictest.WantError[*FailedError](t, err)

	stored, err := readBlueGreenRecord(t.Context(), c.Kubernetes, c.target)
	if err != nil {
		t.Fatal(err)
	}
	blue := Blue
	stored.record.Phase, stored.record.Target, stored.record.Previous = phaseReturning, Green, &blue
	if err := stored.save(t.Context(), c.Kubernetes, c.target); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Patch(t.Context(), "app", types.MergePatchType,
		[]byte(`{"spec":{"selector":{"slipway.dev/track":"green"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = c.apply(Spec{Active: Green, After: judging(analysis.Passed, analysis.Accept)})
	traffictest.WantError[*QuarantinedError](t, err)
	c.wantLive(Blue)
}

// The release of the live color may not be removed, unless pods of another one have the color too.
func TestRoutesTo_FindsTheLiveColor(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	c.pod(Green)
	uses := func(color string) []route.Use {
		t.Helper()
		found, err := route.To(t.Context(), c.Cluster, c.Handle, []map[string]string{{"app": "app", DefaultLabel: color, "release": "app"}})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := uses(Green); len(found) > 0 {
		t.Errorf("without a switch: %v", found)
	}
	// The pods of newColors are others' and ready: they go on serving.
	c.mustApply(Spec{Active: Green})
	if found := uses(Green); len(found) > 0 {
		t.Errorf("while others serve: %v", found)
	}
	now := int64(0)
	if err := c.Kubernetes.CoreV1().Pods(c.Handle.Namespace).Delete(t.Context(), Green, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	if found := uses(Green); len(found) != 1 || !found[0].Live || found[0].Object != "Service app" {
		t.Errorf("live: %v", found)
	}
	if found := uses(Blue); len(found) > 0 {
		t.Errorf("idle: %v", found)
	}
	if _, err := Forget(t.Context(), c.target, Options{InstanceID: "one", Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if found := uses(Green); len(found) > 0 {
		t.Errorf("after the switch was removed: %v", found)
	}
}

func TestBlueGreen_RefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	services := c.Kubernetes.CoreV1().Services(c.Handle.Namespace)
	foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "app-preview"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	if _, err := services.Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := c.apply(Spec{Active: Blue})
	traffictest.WantError[*route.ForeignError](t, err)
	if _, has := c.service().Spec.Selector[DefaultLabel]; has {
		t.Error("the selector was changed all the same")
	}
	c.target.Preview = "app-next"
	c.mustApply(Spec{Active: Blue})

	_, err = Apply(t.Context(), c.target, Spec{Active: Green}, Options{InstanceID: "two", Timeout: time.Minute})
	traffictest.WantError[*OwnerError](t, err)
	forgotten, err := Forget(t.Context(), c.target, Options{InstanceID: "two", Timeout: time.Minute})
	if err != nil || !forgotten {
		t.Errorf("forgotten %v, %v", forgotten, err)
	}
	c.wantLive(Blue)

	missing := c.target
	missing.Service = "other"
	_, err = Apply(t.Context(), missing, Spec{Active: Blue}, Options{InstanceID: "one", Timeout: time.Minute})
	traffictest.WantError[*pods.ServiceMissingError](t, err)
}

// A route is switched instead of the selector, and switched back.
func TestBlueGreen_SwitchesARoute(t *testing.T) {
	t.Parallel()
	c := newColors(t)
	c.pod(Blue)
	c.pod(Green)
	c.target.Route = func(client dynamic.Interface) (route.Router, error) {
		return route.NewIstio(c.Cluster, client, route.IstioConfig{
			Owner: route.Owner{Handle: c.Handle, Name: "app", InstanceID: "one"}, Host: "app", Settle: -1,
			Stable: route.Track{Labels: map[string]string{DefaultLabel: Blue}, Subset: Blue}, Canary: route.Track{Labels: map[string]string{DefaultLabel: Green}, Subset: Green},
		})
	}
	c.mustApply(Spec{Active: Blue})
	c.wantLive(Blue)
	c.mustApply(Spec{Active: Green, After: judging(analysis.Passed, analysis.Accept)})
	c.wantLive(Green)
	_, err := c.apply(Spec{Active: Blue, After: judging(analysis.Failed, analysis.Rollback)})
	traffictest.WantError[*FailedError](t, err)
	c.wantLive(Green)
	if _, has := c.service().Spec.Selector[DefaultLabel]; has {
		t.Error("the selector was changed")
	}
	live := c.Live(traffictest.VirtualService, "app")
	if live == nil {
		t.Fatal("no VirtualService")
	}
	routes, _, err := unstructured.NestedSlice(live.Object, "spec", "http")
	if err != nil || len(routes) != 1 {
		t.Fatalf("the routes are %v, %v", routes, err)
	}
	first, _ := routes[0].(map[string]any)
	if destinations, _ := first["route"].([]any); len(destinations) != 1 {
		t.Errorf("the route leads to more than green: %v", routes)
	}
}

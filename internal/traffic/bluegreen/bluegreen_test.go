// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
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

func TestState_QuarantinesTheContentThatFailed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	failed := Quarantine{Color: Green, Content: "c", Policy: "p", Until: now.Add(time.Hour)}
	for name, test := range map[string]struct {
		color, content, policy, token string
		cleared                       bool
		after                         time.Duration
		quarantined                   bool
	}{
		"the same":            {Green, "c", "p", "", false, 0, true},
		"the other color":     {Blue, "c", "p", "", false, 0, false},
		"other pods":          {Green, "d", "p", "", false, 0, false},
		"another analysis":    {Green, "c", "q", "", false, 0, false},
		"another token":       {Green, "c", "p", "again", false, 0, false},
		"cleared by hand":     {Green, "c", "p", "", true, 0, false},
		"just before its end": {Green, "c", "p", "", false, time.Hour - 1, true},
		"at its end":          {Green, "c", "p", "", false, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := state{Quarantine: &failed}
			spec := Spec{Policy: test.policy, RetryToken: test.token}
			found := s.quarantined(test.color, test.content, spec, test.cleared, now.Add(test.after))
			if (found != nil) != test.quarantined {
				t.Errorf("quarantined: %v, want %v", found, test.quarantined)
			}
		})
	}
}

// pair is a Service and pods of both colors behind it.
type pair struct {
	*traffictest.Bench
	target Target
}

func newPair(t *testing.T) *pair {
	t.Helper()
	b := traffictest.New(t)
	c := &pair{Bench: b, target: Target{
		Cluster: b.Cluster, Handle: b.Handle, Service: "app", Preview: "app-preview", Label: DefaultLabel,
	}}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: map[string]string{"example.com/mine": "yes"}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "app"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	if _, err := b.Kubernetes.CoreV1().Services(b.Handle.Namespace).Create(t.Context(), service,
		metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	return c
}

// pod makes a pod and waits until it is ready.
func (c *pair) pod(color string) {
	c.Helper()
	all := c.Kubernetes.CoreV1().Pods(c.Handle.Namespace)
	now := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: color, Labels: map[string]string{"app": "app", DefaultLabel: color}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &now,
			Containers: []corev1.Container{
				{Name: "app", Image: "registry.company.com/data-collection:v1.1.1", Args: []string{"serve"}},
			},
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

func (c *pair) apply(spec Spec) (*Result, error) {
	return Apply(c.Context(), c.target, spec, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute})
}

func (c *pair) mustApply(spec Spec) {
	c.Helper()
	if _, err := c.apply(spec); err != nil {
		c.Fatal(err)
	}
}

func (c *pair) service() *corev1.Service {
	c.Helper()
	found, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Get(c.Context(), "app", metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return found
}

func (c *pair) wantLive(want string) {
	c.Helper()
	seen, err := Observe(c.Context(), c.target, nil, time.Now())
	if err != nil {
		c.Fatal(err)
	}
	if seen.Active != want || seen.Verification != "" {
		c.Errorf("live: %+v, want %s", seen, want)
	}
}

// deciding answers with a verdict.
func deciding(outcome analysis.Outcome, action analysis.Action) Analyze {
	return func(context.Context, Watched) (analysis.Verdict, error) {
		return analysis.Verdict{Outcome: outcome, Action: action, Reason: "Because of the test."}, nil
	}
}

func TestBlueGreen_WritesOneKeyOfTheSelectorOnly(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.pod(Green)
	before := c.service()
	c.mustApply(Spec{Active: Blue})
	c.mustApply(Spec{Active: Green})
	c.wantLive(Green)
	after := c.service()
	if after.Spec.Selector["app"] != "app" || len(after.Spec.Selector) != 2 || after.Annotations["example.com/mine"] != "yes" ||
		after.Spec.ClusterIP != before.Spec.ClusterIP {
		t.Errorf("more than the color was changed: %+v, before %+v", after, before)
	}
}

func TestBlueGreen_ActsOnTheVerdict(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.pod(Green)
	c.mustApply(Spec{Active: Blue})

	// Too little is known before the switch, and after it.
	_, err := c.apply(Spec{Active: Green, Before: deciding(analysis.Inconclusive, analysis.Hold)})
	traffictest.WantExplained(t, err, "was inconclusive")
	c.wantLive(Blue)
	_, err = c.apply(Spec{Active: Green, After: deciding(analysis.Inconclusive, analysis.Rollback)})
	traffictest.WantExplained(t, err, "failed after the switch")
	c.wantLive(Blue)

	// Nothing is quarantined for that.
	_, err = c.apply(Spec{Active: Green, After: deciding(analysis.Inconclusive, analysis.Hold)})
	traffictest.WantExplained(t, err, "was inconclusive")
	seen, err := Observe(t.Context(), c.target, nil, time.Now())
	if err != nil || seen.Active != Green || seen.Verification == "" {
		t.Errorf("quarantined after the switch: %+v, %v", seen, err)
	}
	c.mustApply(Spec{Active: Green, After: deciding(analysis.Passed, analysis.Accept)})
	c.wantLive(Green)
}

// No rollback is possible: blue has no ready pod any more.
func TestBlueGreen_StaysWhereTheOtherColorIsNotReady(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.pod(Green)
	c.mustApply(Spec{Active: Blue})
	failing := func(ctx context.Context, _ Watched) (analysis.Verdict, error) {
		now := int64(0)
		err := c.Kubernetes.CoreV1().Pods(c.Handle.Namespace).Delete(ctx, Blue, metav1.DeleteOptions{GracePeriodSeconds: &now})
		return analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: "Because of the test."}, err
	}
	result, err := c.apply(Spec{Active: Green, After: failing})
	traffictest.WantExplained(t, err, "was not switched back to blue")
	traffictest.WantExplained(t, err, "failed after the switch")
	if result.Active != Green {
		t.Errorf("live is %s, want green", result.Active)
	}
}

// A run was killed during its rollback from green: the next one finishes the rollback, whatever it wants itself.
func TestBlueGreen_FinishesAnInterruptedRollback(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.pod(Green)
	c.mustApply(Spec{Active: Blue})
	_, err := c.apply(Spec{Active: Green, After: deciding(analysis.Failed, analysis.Rollback)})
	traffictest.WantExplained(t, err, "failed after the switch")

	recorded, err := record.Read[state](t.Context(), c.Kubernetes, c.target.place())
	if err != nil {
		t.Fatal(err)
	}
	blue := Blue
	recorded.Content.Phase, recorded.Content.Target, recorded.Content.Previous = rollingBack, Green, &blue
	if err := recorded.Save(t.Context(), c.Kubernetes, recorded.Content, "one"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Patch(t.Context(), "app", types.MergePatchType,
		[]byte(`{"spec":{"selector":{"slipway.dev/track":"green"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = c.apply(Spec{Active: Green, After: deciding(analysis.Passed, analysis.Accept)})
	traffictest.WantExplained(t, err, "Green is quarantined")
	c.wantLive(Blue)
}

// The release of the live color may not be removed, unless pods of another one have the color too.
func TestRoutesTo_FindsTheLiveColor(t *testing.T) {
	t.Parallel()
	c := newPair(t)
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
	// The pods of newPair are others' and ready: they continue to serve.
	c.mustApply(Spec{Active: Green})
	if found := uses(Green); len(found) > 0 {
		t.Errorf("while others serve: %v", found)
	}
	now := int64(0)
	if err := c.Kubernetes.CoreV1().Pods(c.Handle.Namespace).Delete(t.Context(), Green,
		metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	if found := uses(Green); len(found) != 1 || !found[0].Live || found[0].Object != "Service app" {
		t.Errorf("live: %v", found)
	}
	if found := uses(Blue); len(found) > 0 {
		t.Errorf("idle: %v", found)
	}
	if _, err := Remove(t.Context(), c.target, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if found := uses(Green); len(found) > 0 {
		t.Errorf("after the switch was removed: %v", found)
	}
}

// A color that stayed in the selector would keep every later version with other labels from its requests.
func TestRemove_TakesTheColorOutOfTheSelector(t *testing.T) {
	t.Parallel()
	remove := func(c *pair) {
		c.Helper()
		forgotten, err := Remove(t.Context(), c.target, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute})
		if err != nil || forgotten {
			c.Fatalf("forgotten %v, %v", forgotten, err)
		}
	}
	c := newPair(t)
	c.pod(Green)
	c.mustApply(Spec{Active: Green})
	remove(c)
	if got := c.service().Spec.Selector; len(got) != 1 || got["app"] != "app" {
		t.Errorf("the selector is %v", got)
	}

	// What another user has written since is left alone.
	c.mustApply(Spec{Active: Green})
	c.choose(`"purple"`)
	remove(c)
	if got := c.service().Spec.Selector[DefaultLabel]; got != "purple" {
		t.Errorf("the selector has %q", got)
	}
}

// The chart renders blue. Its color comes back only if pods of it can answer.
func TestRemove_RestoresTheColorThatTheChartRenders(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.choose(`"blue"`)
	c.renderedByHelm(`{app: app, ` + DefaultLabel + `: blue}`)
	c.pod(Green)
	remove := func() {
		t.Helper()
		if _, err := Remove(t.Context(), c.target, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	c.mustApply(Spec{Active: Green})
	remove()
	c.wantLive(Green)
	c.pod(Blue)
	c.mustApply(Spec{Active: Green})
	remove()
	c.wantLive(Blue)
}

// choose writes the color into the selector as another user does.
func (c *pair) choose(value string) {
	c.Helper()
	patch := []byte(`{"spec":{"selector":{"` + DefaultLabel + `":` + value + `}}}`)
	if _, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Patch(c.Context(), "app", types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		c.Fatal(err)
	}
}

// renderedByHelm stores a release with the Service, whose selector is given.
func (c *pair) renderedByHelm(selector string) {
	c.Helper()
	patch := []byte(
		`{"metadata":{"annotations":{"meta.helm.sh/release-name":"shop","meta.helm.sh/release-namespace":"` + c.Handle.Namespace + `"}}}`,
	)
	if _, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Patch(c.Context(), "app", types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		c.Fatal(err)
	}
	harness.StoreRelease(
		c,
		c.Handle.Namespace,
		"shop",
		"apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: "+selector+"}\n",
	)
}

func TestBlueGreen_RefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	services := c.Kubernetes.CoreV1().Services(c.Handle.Namespace)
	foreign := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "app-preview"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
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

	_, err = Apply(t.Context(), c.target, Spec{Active: Green}, Options{Claim: record.Claim{InstanceID: "two"}, Timeout: time.Minute})
	traffictest.WantError[*record.OwnerError](t, err)
	forgotten, err := Remove(t.Context(), c.target, Options{Claim: record.Claim{InstanceID: "two"}, Timeout: time.Minute})
	if err != nil || !forgotten {
		t.Errorf("forgotten %v, %v", forgotten, err)
	}
	c.wantLive(Blue)

	missing := c.target
	missing.Service = "other"
	_, err = Apply(t.Context(), missing, Spec{Active: Blue}, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute})
	traffictest.WantError[*pods.ServiceMissingError](t, err)
}

// A route is switched instead of the selector, and switched back.
func TestBlueGreen_SwitchesARoute(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.pod(Green)
	c.target.Route = func(client dynamic.Interface) (route.Router, error) {
		return route.NewIstio(c.Cluster, client, route.IstioConfig{
			Owner: route.Owner{Handle: c.Handle, Name: "app", InstanceID: "one"}, Host: "app", Settle: -1,
			Stable: route.Track{Labels: map[string]string{DefaultLabel: Blue}, Subset: Blue},
			Canary: route.Track{Labels: map[string]string{DefaultLabel: Green}, Subset: Green},
		})
	}
	c.mustApply(Spec{Active: Blue})
	c.wantLive(Blue)
	c.mustApply(Spec{Active: Green, After: deciding(analysis.Passed, analysis.Accept)})
	c.wantLive(Green)
	_, err := c.apply(Spec{Active: Blue, After: deciding(analysis.Failed, analysis.Rollback)})
	traffictest.WantExplained(t, err, "failed after the switch")
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

// abort puts the annotation on the record, as kubectl annotate does.
func (c *pair) abort(reason string) {
	c.Helper()
	c.annotate(record.AnnotationAbort, reason)
}

func (c *pair) annotate(key, value string) {
	c.Helper()
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})
	if err != nil {
		c.Fatal(err)
	}
	c.patchRecord(text)
}

func (c *pair) patchRecord(text []byte) {
	c.Helper()
	all := c.Kubernetes.CoreV1().ConfigMaps(c.Handle.Namespace)
	if _, err := all.Patch(c.Context(), record.OfBlueGreen.Object("app"), types.MergePatchType, text, metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
}

// waiting is an analysis that nothing but an abort ends. begun is called once it has begun.
func waiting(begun func()) Analyze {
	return func(ctx context.Context, w Watched) (analysis.Verdict, error) {
		begun()
		for {
			if reason, aborted, err := w.Abort(ctx); err == nil && aborted {
				return analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: "The run was aborted by hand: " + reason}, nil
			}
			select {
			case <-ctx.Done():
				return analysis.Verdict{}, context.Cause(ctx)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

func TestBlueGreen_IsAbortedByTheAnnotation(t *testing.T) {
	for name, test := range map[string]struct {
		reason string
		spec   func(begun func()) Spec
		wants  []string
	}{
		"during the preview": {"errors on the dashboard", func(begun func()) Spec {
			return Spec{Active: Green, Before: waiting(begun)}
		}, []string{"failed before the switch", "blue is live", "aborted by hand: errors on the dashboard", "are not switched to until"}},
		"after the switch": {"errors on the dashboard", func(begun func()) Spec {
			return Spec{Active: Green, After: waiting(begun)}
		}, []string{"was switched back: blue is live", "aborted by hand: errors on the dashboard", "are not switched to until"}},
		"without a text": {"", func(begun func()) Spec {
			return Spec{Active: Green, After: waiting(begun)}
		}, []string{"was switched back: blue is live", "aborted by hand: no reason was given"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newPair(t)
			c.pod(Blue)
			c.pod(Green)
			c.mustApply(Spec{Active: Blue})
			// An annotation from before the switch is not about it.
			c.abort("an earlier one")
			result, err := c.apply(test.spec(func() { c.abort(test.reason) }))
			traffictest.WantExplained(t, err, test.wants...)
			if result.Active != Blue {
				t.Errorf("live is %s, want blue", result.Active)
			}
			seen, err := Observe(t.Context(), c.target, nil, time.Now())
			if err != nil || seen.Active != Blue || !strings.HasPrefix(seen.Quarantined, "green until ") || seen.Verification != "" {
				t.Errorf("seen: %+v, %v", seen, err)
			}
			_, err = c.apply(Spec{Active: Green})
			traffictest.WantExplained(t, err, "Green is quarantined")

			// The abort was acted on, and the quarantine can be ended by hand.
			c.annotate(record.AnnotationQuarantine, record.QuarantineCleared)
			c.mustApply(Spec{Active: Green})
			c.wantLive(Green)
		})
	}
}

// A pod that does not appear is waited for until a user aborts.
func TestBlueGreen_IsAbortedWhileItWaits(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.mustApply(Spec{Active: Blue})
	_, err := Apply(t.Context(), c.target, Spec{Active: Green}, Options{
		Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute,
		Progress: func(text string) {
			if strings.HasPrefix(text, "waiting until there is a pod of green") {
				c.abort("it takes too long")
			}
		},
	})
	traffictest.WantExplained(t, err, "failed before the switch", "aborted by hand: it takes too long")
	c.wantLive(Blue)
}

// A wrong label is an error within seconds, and the error shows the right one.
func TestBlueGreen_NamesTheLabelsThatNoPodHas(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.pod(Green)
	c.target.Label = "trak"
	_, err := Apply(t.Context(), c.target, Spec{Active: Green}, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: 20 * time.Minute})
	traffictest.WantExplained(t, err, "Service app was not switched", "has the labels app=app, trak=green",
		"app=app, "+DefaultLabel+"=blue; app=app",
		"Set label")
}

// Two resources of one configuration have the same Service.
func TestBlueGreen_TwoCreatesOfOneRun(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	create := func(instance string, made ...string) error {
		_, err := Apply(t.Context(), c.target, Spec{Active: Blue}, Options{Timeout: time.Minute, Claim: record.Claim{
			InstanceID: instance, Create: true, MadeInThisRun: func(id string) bool { return slices.Contains(made, id) },
		}})
		return err
	}
	if err := create("one"); err != nil {
		t.Fatal(err)
	}
	traffictest.WantError[*record.OwnerError](t, create("two", "one", "two"), "Two resources of this configuration", "app")
	if err := create("two", "two"); err != nil {
		t.Errorf("what an earlier run has left is not taken over: %v", err)
	}
}

// A record of a newer provider is refused wherever it is read.
func TestBlueGreen_RefusesANewerRecord(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.mustApply(Spec{Active: Blue})
	newer := fmt.Sprintf(`{"schemaVersion":99,"instanceID":"one","client":%q,"stage":%q}`, c.Handle.Client, c.Handle.Stage)
	text, err := json.Marshal(map[string]any{"data": map[string]any{"record": newer}})
	if err != nil {
		t.Fatal(err)
	}
	c.patchRecord(text)
	_, err = Observe(t.Context(), c.target, nil, time.Now())
	traffictest.WantError[*record.NewerError](t, err, "schema version 99")
	_, err = c.apply(Spec{Active: Green})
	traffictest.WantError[*record.NewerError](t, err)
	_, err = Remove(t.Context(), c.target, Options{Claim: record.Claim{InstanceID: "one"}, Timeout: time.Minute})
	traffictest.WantError[*record.NewerError](t, err)
}

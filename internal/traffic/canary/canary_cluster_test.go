// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// tracked are pods of two tracks behind one Service, with a Service for each, and a split of the requests to them.
type tracked struct {
	*traffictest.Bench
	target Target
	kind   schema.GroupKind
}

func newTracked(t *testing.T, k schema.GroupKind) *tracked {
	t.Helper()
	c := &tracked{Bench: traffictest.New(t), kind: k}
	c.target = Target{Cluster: c.Cluster, Handle: c.Handle, Name: "app"}
	if k == traffictest.VirtualService {
		c.target.Route.Istio = &route.IstioConfig{
			Host: "data-collection", Settle: -1,
			Stable: route.Track{Subset: "v1", Labels: map[string]string{"version": "v1"}},
			Canary: route.Track{Subset: "v2", Labels: map[string]string{"version": "v2"}},
		}
	} else {
		c.target.Route.Gateway = &route.GatewayConfig{
			Parents: []route.Parent{{Kind: "Service", Name: "app", Port: 80}},
			Stable:  route.Track{Service: "app-stable", Port: 80}, Canary: route.Track{Service: "app-canary", Port: 80},
		}
	}
	for name, selector := range map[string]map[string]string{
		"data-collection": {"app": "dc"}, "app-stable": {"app": "dc", "version": "v1"}, "app-canary": {"app": "dc", "version": "v2"},
	} {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		}
		if _, err := c.Kubernetes.CoreV1().Services(c.Handle.Namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// deploy makes the pod of a track, which is ready where the path of its probe is answered.
func (c *tracked) deploy(track, probe string) {
	c.Helper()
	labels := map[string]string{"app": "dc", "version": track}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: track}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers: []corev1.Container{{Name: "app", Image: harness.Image(), ReadinessProbe: &corev1.Probe{
				PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: probe, Port: intstr.FromInt32(8080)}},
			}}},
		}},
	}}
	if _, err := c.Kubernetes.AppsV1().Deployments(c.Handle.Namespace).Create(c.Context(), deployment, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *tracked) patch(track, merge string) {
	c.Helper()
	if _, err := c.Kubernetes.AppsV1().Deployments(c.Handle.Namespace).Patch(c.Context(), track, types.StrategicMergePatchType, []byte(merge),
		metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *tracked) scale(track string, replicas int) {
	c.Helper()
	c.patch(track, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
}

// until waits until the tracks have pods as wanted, as Pods and EndpointSlices say.
func (c *tracked) until(what string, wanted func(pods.Capacity) bool) {
	c.Helper()
	reader := c.target.tracks(c.Kubernetes)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		now, err := reader.capacity(c.Context())
		if err != nil {
			c.Fatal(err)
		}
		if wanted(now) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s: %+v", what, now)
		}
	}
}

// options are those of an apply in which a progress message may do something.
func (c *tracked) options(timeout time.Duration, when map[string]func()) Options {
	return Options{Claim: record.Claim{InstanceID: "one"}, Timeout: timeout, Progress: func(text string) {
		for begin, do := range when {
			if strings.HasPrefix(text, begin) {
				do()
			}
		}
	}}
}

func (c *tracked) mustApply(spec Spec) {
	c.Helper()
	if result, err := Apply(c.Context(), c.target, spec, c.options(time.Minute, nil)); err != nil || result.Split == nil ||
		result.Split.Weight != spec.Weight {
		c.Fatalf("got %+v, %v, want %d%%", result, err, spec.Weight)
	}
}

// written is all that we have written for the split: the route and, with Istio, the subsets.
func (c *tracked) written() []any {
	c.Helper()
	out := []any{}
	kinds := []schema.GroupKind{c.kind}
	if c.kind == traffictest.VirtualService {
		kinds = append(kinds, traffictest.DestinationRule)
	}
	for _, k := range kinds {
		if live := c.Live(k, "app"); live != nil {
			out = append(out, live.Object["spec"], traffictest.OurWrites(live))
		}
	}
	return out
}

// wantRest demands a weight and that nothing is left to do.
func (c *tracked) wantRest(weight int) {
	c.Helper()
	seen, err := Observe(c.Context(), c.target, "one", time.Now())
	if err != nil {
		c.Fatal(err)
	}
	if seen.Route.Split.Weight != weight || seen.Verification != "" || seen.Quarantined != "" {
		c.Errorf("it is at %+v, want %d%% and nothing left to do", seen, weight)
	}
}

func eachKind(t *testing.T, test func(t *testing.T, k schema.GroupKind)) {
	t.Helper()
	t.Parallel()
	for name, k := range map[string]schema.GroupKind{"istio": traffictest.VirtualService, "gateway": traffictest.HTTPRoute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

func TestCanary_WithoutReadyPodsGetsNoRequests(t *testing.T) {
	eachKind(t, func(t *testing.T, k schema.GroupKind) {
		c := newTracked(t, k)
		c.deploy("v1", harness.Answering)
		c.deploy("v2", harness.Unanswered)
		service := map[string]string{"VirtualService": "data-collection", "HTTPRoute": "app-canary"}[k.Kind]
		c.until("stable serves, and the canary runs", func(now pods.Capacity) bool {
			return now.Stable.Ready == 1 && strings.Contains(now.Canary.Lacking, "(container app runs and is not ready)")
		})

		refuse := func(spec Spec, to int, parts ...string) {
			t.Helper()
			before := c.written()
			result, err := Apply(t.Context(), c.target, spec, c.options(15*time.Second, nil))
			traffictest.WantError[*CapacityError](t, err, append(parts, fmt.Sprintf("Split app was not moved to %d%%", to),
				"0% of the requests go to the canary", "apply again")...)
			if after := c.written(); !reflect.DeepEqual(after, before) {
				t.Errorf("the route was written: %v, before %v", after, before)
			}
			if result.Split == nil || result.Split.Weight != 0 || len(result.Split.Headers) > 0 {
				t.Errorf("the result is %+v", result)
			}
			c.wantRest(0)
		}
		// Not even a route is made that was not there.
		refuse(Spec{Weight: 10}, 10, "The canary has 0 pods ready and needs 1 for 10% of the requests",
			"no ready endpoints of Service "+service+" are pod v2-", "is not ready)")
		if c.Live(k, "app") != nil {
			t.Error("a route was made")
		}
		c.mustApply(Spec{})
		refuse(Spec{Weight: 10, Steps: []Step{{Weight: 5}}, Headers: []route.HeaderMatch{{Name: "canary", Value: "true"}}}, 5,
			"The canary has no ready pod, and headers send requests to it", "pod v2-")
		c.scale("v2", 0)
		c.until("the canary has no pod", func(now pods.Capacity) bool { return now.Canary.Pods == 0 })
		refuse(Spec{Weight: 10}, 10, "Service "+service+" has no pod with the labels app=dc, version=v2")

		c.patch("v2", fmt.Sprintf(`{"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"app",`+
			`"readinessProbe":{"httpGet":{"path":%q,"port":8080}}}]}}}}`, harness.Answering))
		c.until("the canary is ready", func(now pods.Capacity) bool { return now.Canary.Ready == 1 })
		c.mustApply(Spec{Weight: 10, Headers: []route.HeaderMatch{{Name: "canary", Value: "true"}}})
		c.wantRest(10)
	})
}

// The annotation that aborts an apply is put on it after the stable track has lost its pods.
func TestCanary_HaltsIfTheStableTrackIsDownWhenItAborts(t *testing.T) {
	eachKind(t, func(t *testing.T, k schema.GroupKind) {
		c := newTracked(t, k)
		c.deploy("v1", harness.Answering)
		c.deploy("v2", harness.Answering)
		c.until("both tracks serve", func(now pods.Capacity) bool { return now.Stable.Ready == 1 && now.Canary.Ready == 1 })
		c.mustApply(Spec{})

		steps := Spec{Weight: 100, Steps: []Step{{Weight: 50, Pause: time.Hour}}}
		result, err := Apply(t.Context(), c.target, steps, c.options(5*time.Minute, map[string]func(){"waiting 1h": func() {
			c.scale("v1", 0)
			c.until("stable has no pod", func(now pods.Capacity) bool { return now.Stable.Pods == 0 })
			c.abort("errors on the dashboard")
		}}))
		traffictest.WantExplained(t, err, "failed at 50%, and the old weights were not restored", "aborted by hand: errors on the dashboard")
		halted := []string{"were not sent back to the stable track", "The stable track has no ready pod: Service ",
			"has no pod with the labels app=dc, version=v1",
			"50% of the requests go to the canary", "Bring the stable track up, then apply with weight 0"}
		traffictest.WantExplained(t, err, halted...)
		if result.Split == nil || result.Split.Weight != 50 {
			t.Errorf("the result is %+v, want 50%%", result)
		}
		stays := c.written()

		// Another apply does not do it either, as long as the stable track is down.
		_, err = Apply(t.Context(), c.target, Spec{}, c.options(time.Minute, nil))
		traffictest.WantExplained(t, err, halted...)
		if after := c.written(); !reflect.DeepEqual(after, stays) {
			t.Errorf("the route was written: %v, before %v", after, stays)
		}
		seen, err := Observe(t.Context(), c.target, "one", time.Now())
		if err != nil || seen.Route.Split.Weight != 50 || !strings.Contains(seen.Verification, "rollback from 50%") {
			t.Errorf("it is at %+v, %v", seen, err)
		}

		// Nor does the removal of the split.
		_, err = Remove(t.Context(), c.target, c.options(time.Minute, nil))
		traffictest.WantExplained(t, err, halted...)
		if after := c.written(); !reflect.DeepEqual(after, stays) {
			t.Errorf("the removal wrote the route: %v, before %v", after, stays)
		}

		c.scale("v1", 1)
		c.until("stable serves again", func(now pods.Capacity) bool { return now.Stable.Ready == 1 })
		c.mustApply(Spec{})
	})
}

func (c *tracked) abort(why string) {
	c.Helper()
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{record.AnnotationAbort: why}}})
	if err != nil {
		c.Fatal(err)
	}
	if _, err := c.Kubernetes.CoreV1().ConfigMaps(c.Handle.Namespace).Patch(c.Context(), record.OfCanary.Object("app"), types.MergePatchType,
		text, metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
}

// handMoves writes another weight into the base route, as kubectl edit does.
func (c *tracked) handMoves(weight int) *unstructured.Unstructured {
	c.Helper()
	field, destinations := "http", "route"
	if c.kind == traffictest.HTTPRoute {
		field, destinations = "rules", "backendRefs"
	}
	live := c.Live(c.kind, "app")
	routes, _ := entry(live.Object["spec"])[field].([]any)
	tracks, _ := entry(routes[len(routes)-1])[destinations].([]any)
	for i, each := range []int{100 - weight, weight} {
		entry(tracks[i])["weight"] = int64(each)
	}
	text, err := json.Marshal(map[string]any{"spec": map[string]any{field: routes}})
	if err != nil {
		c.Fatal(err)
	}
	c.Edit(c.kind, "app", string(text))
	return c.Live(c.kind, "app")
}

func TestCanary_LeavesAWeightThatAHandSetMeanwhile(t *testing.T) {
	eachKind(t, func(t *testing.T, k schema.GroupKind) {
		c := newTracked(t, k)
		c.deploy("v1", harness.Answering)
		c.deploy("v2", harness.Answering)
		c.until("both tracks serve", func(now pods.Capacity) bool { return now.Stable.Ready == 1 && now.Canary.Ready == 1 })
		c.mustApply(Spec{Weight: 5})

		// After the plan, and before the apply.
		edited := c.handMoves(40)
		options := c.options(time.Minute, nil)
		options.Planned = &Planned{Split: route.Split{Weight: 5}}
		result, err := Apply(t.Context(), c.target, Spec{Weight: 10}, options)
		traffictest.WantExplained(t, err, "Another user or program changed", "app after the plan of split app was made",
			"When it was planned, 5% of the requests go to the canary; now 40%", "Plan again")
		traffictest.WantSame(t, edited.Object["spec"], c.Live(k, "app").Object["spec"])
		if result.Split == nil || result.Split.Weight != 40 {
			t.Errorf("the result is %+v, want 40%%", result)
		}
		options.Planned = &Planned{Split: route.Split{Weight: 40}}
		if _, err := Apply(t.Context(), c.target, Spec{Weight: 10}, options); err != nil {
			t.Errorf("planned again: %v", err)
		}
		c.wantRest(10)
		// What others have set as it is wanted is no difference, nor is what a plan knew of.
		if _, err := Apply(t.Context(), c.target, Spec{Weight: 10}, options); err != nil {
			t.Errorf("it is as wanted: %v", err)
		}

		// Between two steps.
		_, err = Apply(t.Context(), c.target, Spec{Weight: 100, Steps: []Step{{Weight: 50, Pause: time.Millisecond}}},
			c.options(time.Minute, map[string]func(){"waiting 1ms": func() { edited = c.handMoves(70) }}))
		traffictest.WantError[*route.ConflictError](t, err, "Another user or program changed", "app during this operation", "Apply again")
		traffictest.WantSame(t, edited.Object["spec"], c.Live(k, "app").Object["spec"])
		c.mustApply(Spec{Weight: 100})
		c.wantRest(100)
	})
}

func entry(value any) map[string]any {
	out, _ := value.(map[string]any)
	return out
}

// Two resources of one configuration have the same name.
func TestCanary_TwoCreatesOfOneRun(t *testing.T) {
	t.Parallel()
	c := newTracked(t, traffictest.VirtualService)
	c.deploy("v1", harness.Answering)
	c.until("stable serves", func(now pods.Capacity) bool { return now.Stable.Ready == 1 })
	create := func(instance string, made ...string) error {
		_, err := Apply(t.Context(), c.target, Spec{}, Options{Timeout: time.Minute, Claim: record.Claim{
			InstanceID: instance, Create: true, MadeInThisRun: func(id string) bool { return slices.Contains(made, id) },
		}})
		return err
	}
	if err := create("one"); err != nil {
		t.Fatal(err)
	}
	before := c.written()
	traffictest.WantError[*record.OwnerError](t, create("two", "one", "two"), "Two resources of this configuration", "app")
	if after := c.written(); !reflect.DeepEqual(after, before) {
		t.Errorf("the route was written: %v, before %v", after, before)
	}
	if err := create("two", "two"); err != nil {
		t.Errorf("what an earlier run has left is not taken over: %v", err)
	}
}

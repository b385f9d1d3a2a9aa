// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/drift"
)

var (
	crdResource    = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	monitorsGroup  = "drift.slipway.test"
	monitors       = schema.GroupVersionResource{Group: monitorsGroup, Version: "v1", Resource: "servicemonitors"}
	monitorsMade   sync.Once
	driftedSecret  = "canary-drift-1"
	driftResources = map[string]any{"resources": map[string]any{"requests": map[string]any{"cpu": "0.02", "memory": "16384Ki"},
		"limits": map[string]any{"cpu": "2000m"}}}
)

// needMonitors makes a kind like Prometheus' ServiceMonitor, with a default inside a list, once for all tests.
func needMonitors(t *testing.T) {
	t.Helper()
	c := testCluster(t)
	monitorsMade.Do(func() {
		live, err := c.Dynamic()
		if err != nil {
			t.Fatal(err)
		}
		crd := map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{"name": "servicemonitors." + monitorsGroup},
			"spec": map[string]any{"group": monitorsGroup, "scope": "Namespaced",
				"names": map[string]any{"kind": "ServiceMonitor", "plural": "servicemonitors", "singular": "servicemonitor"},
				"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
					"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
						"spec": map[string]any{"type": "object", "properties": map[string]any{
							"interval": map[string]any{"type": "string"}, "jobLabel": map[string]any{"type": "string"},
							"endpoints": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{
								"port": map[string]any{"type": "string"}, "path": map[string]any{"type": "string", "default": "/metrics"}}}},
						}}}}}}}}}
		_, err = live.Resource(crdResource).Create(t.Context(), &unstructured.Unstructured{Object: crd}, metav1.CreateOptions{})
		if err != nil && !strings.Contains(err.Error(), "already exists") {
			t.Fatal(err)
		}
	})
	live, err := c.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err = live.Resource(monitors).List(t.Context(), metav1.ListOptions{}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func monitor() map[string]any {
	return map[string]any{"apiVersion": monitorsGroup + "/v1", "kind": "ServiceMonitor", "metadata": map[string]any{"name": "app"},
		"spec": map[string]any{"interval": "30s", "endpoints": []any{map[string]any{"port": "http"}}}}
}

func driftService() map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "app"},
		"spec": map[string]any{"selector": map[string]any{"app": "app"}, "ports": []any{map[string]any{"name": "http", "port": 80,
			"targetPort": 8080}, map[string]any{"name": "metrics", "port": 90, "targetPort": 8080}}}}
}

func env() map[string]any {
	return map[string]any{"env": []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "B", "value": "2"}}}
}

// driftSpec is a release with a Deployment, a ConfigMap, a Secret, a Service and a custom resource.
func driftSpec(t *testing.T, layers ...map[string]any) Spec {
	t.Helper()
	layers = slices.Concat([]map[string]any{{"extra": []any{driftService(), monitor()}}, env(), driftResources}, layers)
	spec := with(t, layers...)
	spec.Sensitive = map[string]any{"token": driftedSecret}
	return spec
}

// drifted is a release whose objects the test changes.
type drifted struct {
	*bench
	outcome *Outcome
	ignore  []object.IgnoreRule
}

func newDrifted(t *testing.T, layers ...map[string]any) *drifted {
	t.Helper()
	needMonitors(t)
	b := newBench(t)
	return &drifted{bench: b, outcome: b.mustApply(driftSpec(t, layers...))}
}

func (d *drifted) options() drift.Options {
	return drift.Options{Rendered: d.outcome.Rendering.Objects, Revision: d.outcome.Revision, SecretPaths: []string{"token"}, Ignore: d.ignore}
}

func (d *drifted) drift() map[string]string {
	d.t.Helper()
	found, err := drift.Find(d.t.Context(), d.target, d.options())
	if err != nil {
		d.t.Fatal(err)
	}
	if len(found.Skipped) > 0 {
		d.t.Errorf("skipped: %v", found.Skipped)
	}
	out := map[string]string{}
	for _, x := range found.Found {
		out[string(x.Object)+": "+x.Path] = x.Text
		if strings.Contains(fmt.Sprint(x), "canary-") {
			d.t.Errorf("a secret is shown: %+v", x)
		}
	}
	return out
}

func (d *drifted) wantDrift(want map[string]string) {
	d.t.Helper()
	if got := d.drift(); !maps.Equal(got, want) {
		d.t.Errorf("drift is\n  %v\nwant\n  %v", got, want)
	}
}

func (d *drifted) correct() *Correction {
	d.t.Helper()
	done, err := Correct(d.t.Context(), d.target, CorrectOptions{
		InstanceID: d.id, ClusterUID: d.uid, Rendered: d.outcome.Rendering.Objects, Ignore: d.ignore, Timeout: 3 * time.Minute,
		graces: shortGraces,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return done
}

// kubectl changes an object as a person does.
func (d *drifted) kubectl(resource, name string, kind types.PatchType, patch string) {
	d.t.Helper()
	live, err := d.target.Cluster.Dynamic()
	if err != nil {
		d.t.Fatal(err)
	}
	at := map[string]schema.GroupVersionResource{
		"deployments": {Group: "apps", Version: "v1", Resource: "deployments"}, "configmaps": {Version: "v1", Resource: "configmaps"},
		"secrets": {Version: "v1", Resource: "secrets"}, "services": {Version: "v1", Resource: "services"}, "servicemonitors": monitors,
	}[resource]
	if _, err := live.Resource(at).Namespace(d.namespace()).Patch(d.t.Context(), name, kind, []byte(patch),
		metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		d.t.Fatal(err)
	}
}

func TestDrift_NoneWithoutAChangeByHand(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	d.wantDrift(nil)

	// What others add is no drift, whoever it is.
	d.kubectl("deployments", "app", types.MergePatchType,
		`{"metadata":{"labels":{"team":"x"},"annotations":{"note":"y"}},`+
			`"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`)
	d.kubectl("deployments", "app", types.StrategicMergePatchType,
		`{"spec":{"template":{"spec":{"containers":[{"name":"sidecar","image":"x"}]}}}}`)
	d.kubectl("configmaps", "app", types.MergePatchType, `{"data":{"added":"by hand"}}`)
	d.kubectl("secrets", "app", types.MergePatchType, `{"data":{"added":"eA=="}}`)
	d.kubectl("servicemonitors", "app", types.MergePatchType, `{"spec":{"jobLabel":"x"}}`)
	// So is another order of elements that have names, and another spelling of the same.
	d.kubectl("deployments", "app", types.JSONPatchType,
		`[{"op":"replace","path":"/spec/template/spec/containers/1/env","value":[{"name":"INJECTED","value":"z"},{"name":"B","value":"2"},`+
			`{"name":"A","value":"1"}]}]`)
	d.wantDrift(nil)
}

func TestDrift_ShowsEachLeafAndCorrectRestoresIt(t *testing.T) {
	t.Parallel()
	const deployment = "apps/v1/Deployment/app: "
	container := deployment + "spec.template.spec.containers[app]"
	cases := []struct {
		name, resource string
		kind           types.PatchType
		patch          string
		want           map[string]string
	}{
		{"replicas", "deployments", types.MergePatchType, `{"spec":{"replicas":2}}`, map[string]string{deployment + "spec.replicas": "2 → 1"}},
		{"env", "deployments", types.StrategicMergePatchType,
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"9"}]}]}}}}`,
			map[string]string{container + ".env[A].value": `"9" → "1"`}},
		{"env removed", "deployments", types.StrategicMergePatchType,
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"B","$patch":"delete"}]}]}}}}`,
			map[string]string{container + ".env[B].name": `(none) → "B"`, container + ".env[B].value": `(none) → "2"`}},
		{"resources", "deployments", types.StrategicMergePatchType,
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","resources":{"requests":{"cpu":"25m"}}}]}}}}`,
			map[string]string{container + ".resources.requests.cpu": `"25m" → "20m"`}},
		{"config", "configmaps", types.MergePatchType, `{"data":{"level":"debug"}}`,
			map[string]string{"v1/ConfigMap/app: data.level": `"debug" → "info"`}},
		{"secret", "secrets", types.MergePatchType, `{"data":{"token":"Y2FuYXJ5LW90aGVy"}}`,
			map[string]string{"v1/Secret/app: data.token": "differs (sensitive value)"}},
		{"secret removed", "secrets", types.JSONPatchType, `[{"op":"remove","path":"/data/token"}]`,
			map[string]string{"v1/Secret/app: data.token": "(none) → (sensitive value)"}},
		{"a secret written into another object", "configmaps", types.MergePatchType, `{"data":{"level":"` + driftedSecret + `"}}`,
			map[string]string{"v1/ConfigMap/app: data.level": `"(sensitive value)" → "info"`}},
		{"port", "services", types.StrategicMergePatchType, `{"spec":{"ports":[{"port":80,"targetPort":9999}]}}`,
			map[string]string{"v1/Service/app: spec.ports[http].targetPort": "9999 → 8080"}},
		{"custom resource", "servicemonitors", types.MergePatchType, `{"spec":{"interval":"5m","jobLabel":"kept"}}`,
			map[string]string{monitorsGroup + "/v1/ServiceMonitor/app: spec.interval": `"5m" → "30s"`}},
		{"list in a custom resource", "servicemonitors", types.MergePatchType, `{"spec":{"endpoints":[{"port":"http"},{"port":"admin"}]}}`,
			map[string]string{monitorsGroup + "/v1/ServiceMonitor/app: spec.endpoints[admin].path": `"/metrics" → (none)`, monitorsGroup +
				"/v1/ServiceMonitor/app: spec.endpoints[admin].port": `"admin" → (none)`}},
		{"Helm's label", "configmaps", types.JSONPatchType, `[{"op":"remove","path":"/metadata/labels/app.kubernetes.io~1managed-by"}]`,
			map[string]string{`v1/ConfigMap/app: metadata.labels["app.kubernetes.io/managed-by"]`: `(none) → "Helm"`}},
	}
	d := newDrifted(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := &drifted{bench: &bench{t: t, target: d.target, client: d.client, id: d.id, uid: d.uid}, outcome: d.outcome}
			d.kubectl(c.resource, "app", c.kind, c.patch)
			d.wantDrift(c.want)
			if done := d.correct(); len(done.Corrected) != len(c.want) || done.Revision != 1 {
				t.Errorf("corrected: %+v", done)
			}
			d.wantDrift(nil)
		})
	}
	d.wantEnd(1, "deployed", record.Deployed)
	live, err := d.target.Cluster.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	left, err := live.Resource(monitors).Namespace(d.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if label, _, _ := unstructured.NestedString(left.Object, "spec", "jobLabel"); label != "kept" {
		t.Errorf("a field that the chart does not set was taken away: %v", left.Object["spec"])
	}
}

func TestDrift_ObjectsThatAreGoneAreMadeAgain(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	for _, err := range []error{
		d.client.AppsV1().Deployments(d.namespace()).Delete(t.Context(), "app", metav1.DeleteOptions{}),
		d.client.CoreV1().Secrets(d.namespace()).Delete(t.Context(), "app", metav1.DeleteOptions{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// A finalizer keeps an object that is being deleted.
	d.kubectl("configmaps", "app", types.MergePatchType, `{"metadata":{"finalizers":["slipway.test/wait"]}}`)
	if err := d.client.CoreV1().ConfigMaps(d.namespace()).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	d.wantDrift(map[string]string{"apps/v1/Deployment/app: ": "is gone", "v1/Secret/app: ": "is gone",
		"v1/ConfigMap/app: ": "is being deleted"})
	go func() {
		time.Sleep(2 * time.Second)
		_, _ = d.client.CoreV1().ConfigMaps(d.namespace()).Patch(context.WithoutCancel(t.Context()), "app", types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	}()
	if done := d.correct(); len(done.Corrected) != 3 {
		t.Errorf("corrected: %+v", done)
	}
	d.wantDrift(nil)
	d.wantReady()
	secret, err := d.client.CoreV1().Secrets(d.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil || string(secret.Data["token"]) != driftedSecret {
		t.Errorf("the secret was not corrected: %v", err)
	}
}

func TestDrift_ObjectOfAnotherReleaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	d.kubectl("configmaps", "app", types.MergePatchType,
		`{"metadata":{"annotations":{"meta.helm.sh/release-name":"other"}},"data":{"level":"theirs"}}`)
	d.wantDrift(map[string]string{"v1/ConfigMap/app: ": "belongs to the Helm release other in namespace " + d.namespace() + " now"})
	if done := d.correct(); len(done.Corrected) != 0 || len(done.Left) != 1 {
		t.Errorf("corrected: %+v", done)
	}
	if got := d.liveLevel(); got != "theirs" {
		t.Errorf("level is %s", got)
	}
}

func TestDrift_ReplicasOfAnAutoscalerAndIgnoredPathsAreNone(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: d.namespace()},
		Spec: autoscalingv1.ScaleSpec{Replicas: 2}}
	if _, err := d.client.AppsV1().Deployments(d.namespace()).UpdateScale(t.Context(), "app", scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	d.wantDrift(map[string]string{"apps/v1/Deployment/app: spec.replicas": "2 → 1"})
	hpa := &autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "theirs"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			MaxReplicas: 3, MinReplicas: new(int32(2)), ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "apps/v1",
				Kind: "Deployment", Name: "app"}}}
	if _, err := d.client.AutoscalingV1().HorizontalPodAutoscalers(d.namespace()).Create(t.Context(), hpa,
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	d.wantDrift(nil)

	d.kubectl("deployments", "app", types.StrategicMergePatchType,
		`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"9"},{"name":"B","value":"8"}]}]}}}}`)
	d.ignore = []object.IgnoreRule{{Kind: "Deployment", Paths: []string{"spec.template.spec.containers[app].env[A]"}}}
	d.wantDrift(map[string]string{"apps/v1/Deployment/app: spec.template.spec.containers[app].env[B].value": `"8" → "2"`})
	d.correct()
	d.wantDrift(nil)
	live, err := d.client.AppsV1().Deployments(d.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	container := live.Spec.Template.Spec.Containers[0]
	if *live.Spec.Replicas != 2 || len(container.Env) != 2 || container.Env[0].Value != "9" || container.Env[1].Value != "2" {
		t.Errorf("replicas %d, env %v", *live.Spec.Replicas, container.Env)
	}
	d.ignore = []object.IgnoreRule{{Kind: "Deployment", Name: "a*"}}
	d.kubectl("deployments", "app", types.MergePatchType,
		`{"spec":{"revisionHistoryLimit":3,"template":{"metadata":{"annotations":{"level":"x"}}}}}`)
	d.wantDrift(nil)
}

func TestDrift_CostsOneRequestForEachObject(t *testing.T) {
	t.Parallel()
	needMonitors(t)
	b := newBench(t)
	counted, count := countingTarget(t, b.target)
	b.target = counted
	d := &drifted{bench: b, outcome: b.mustApply(driftSpec(t))}
	cost := func(want int64) {
		t.Helper()
		before := count.Load()
		if _, err := Observe(t.Context(), d.target); err != nil {
			t.Fatal(err)
		}
		if _, err := drift.Find(t.Context(), d.target, d.options()); err != nil {
			t.Fatal(err)
		}
		if got := count.Load() - before; got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
	}
	objects := int64(len(d.outcome.Rendering.Objects))
	cost(objects + 2)
	// A stranger in the Secret: Helm's record is asked what it was.
	d.kubectl("secrets", "app", types.MergePatchType, `{"data":{"added":"eA=="}}`)
	cost(objects + 3)
	// A difference is validated by a dry run, and its text is searched for secrets.
	d.kubectl("configmaps", "app", types.MergePatchType, `{"data":{"level":"debug"}}`)
	cost(objects + 4)
}

func TestApply_CorrectsCustomResourcesWhereAskedTo(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	interval := func() string {
		live, err := d.target.Cluster.Dynamic()
		if err != nil {
			t.Fatal(err)
		}
		found, err := live.Resource(monitors).Namespace(d.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := unstructured.NestedString(found.Object, "spec", "interval")
		return text
	}
	d.kubectl("servicemonitors", "app", types.MergePatchType, `{"spec":{"interval":"5m"}}`)
	d.mustApply(driftSpec(t, config("debug")))
	if got := interval(); got != "5m" {
		t.Fatalf("Helm has put a custom resource back (%s), so that nothing of ours is needed", got)
	}
	d.mustApply(driftSpec(t, config("warn")), func(o *ApplyOptions) {
		o.CorrectDrift, o.IgnoreDrift = true, []object.IgnoreRule{{Kind: "ServiceMonitor"}}
	})
	if got := interval(); got != "5m" {
		t.Errorf("the interval is ignored and was corrected to %s", got)
	}
	d.mustApply(driftSpec(t, config("info")), func(o *ApplyOptions) { o.CorrectDrift = true })
	if got := interval(); got != "30s" {
		t.Errorf("interval is %s", got)
	}
}

func TestCorrect_RefusesAReleaseThatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	d.id = "another"
	_, err := Correct(t.Context(), d.target, CorrectOptions{InstanceID: d.id, ClusterUID: d.uid})
	wantError[*record.OwnerError](t, err)

	broken := newDrifted(t)
	if _, err := broken.apply(t.Context(), driftSpec(t, map[string]any{"readinessPath": "/not-there"}), timeout(20*time.Second)); err == nil {
		t.Fatal("a release that does not become ready was applied")
	}
	_, err = Correct(t.Context(), broken.target, CorrectOptions{InstanceID: broken.id, ClusterUID: broken.uid})
	wantText(t, asError[*CorrectionError](t, err).Error(), "Revision 2 is failed")
}

func TestDrift_WithoutTheRightToDryRunIsShownAsComputed(t *testing.T) {
	t.Parallel()
	d := newDrifted(t)
	d.kubectl("configmaps", "app", types.MergePatchType, `{"data":{"level":"debug"}}`)
	d.kubectl("secrets", "app", types.MergePatchType, `{"data":{"token":"Y2FuYXJ5LW90aGVy"}}`)
	counted, _ := countingTarget(t, d.target)
	limited := refusing(t, counted, func(r *http.Request) bool {
		return r.Method == http.MethodPatch || strings.Contains(r.URL.Path, "/secrets/sh.helm.release")
	})
	found, err := drift.Find(t.Context(), limited, d.options())
	if err != nil || len(found.Found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if x := found.Found[0]; x.Object != "v1/ConfigMap/app" || x.Text != `(sensitive value) → "info"` {
		t.Errorf("found %+v", x)
	}
	wantText(t, strings.Join(found.Skipped, "\n"), "were not validated",
		"Secrets and other masked leaves were compared only where nobody else "+
			"has written")
}

// refusing reaches the same place as a user who lacks some rights.
func refusing(t *testing.T, target Target, refuses func(*http.Request) bool) Target {
	t.Helper()
	host, err := url.Parse(target.Cluster.Host())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(host)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !refuses(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"it is `+
			`forbidden: User \"planner\" cannot %s resource \"things\" in API group \"\""}`, strings.ToLower(r.Method))
	}))
	t.Cleanup(server.Close)
	c, err := cluster.NewConnections(cluster.Config{Clusters: map[string]cluster.Connection{"limited": {Host: server.URL}}}).
		Cluster(t.Context(), cluster.Coordinate{Context: "limited"})
	if err != nil {
		t.Fatal(err)
	}
	target.Cluster = c
	return target
}

// countingTarget reaches the same place through clients whose requests are counted.
func countingTarget(t *testing.T, target Target) (Target, *atomic.Int64) {
	t.Helper()
	config := target.Cluster.RESTConfig()
	host, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	proxy := &httputil.ReverseProxy{Transport: config.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		count.Add(1)
		r.SetURL(host)
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	c, err := cluster.NewConnections(cluster.Config{Clusters: map[string]cluster.Connection{"counted": {Host: server.URL}}}).
		Cluster(t.Context(), cluster.Coordinate{Context: "counted"})
	if err != nil {
		t.Fatal(err)
	}
	target.Cluster = c
	return target, &count
}

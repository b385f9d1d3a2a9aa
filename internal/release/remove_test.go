// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func (b *bench) remove(id string) (bool, error) {
	return Remove(b.t.Context(), b.target, RemoveOptions{InstanceID: id, ClusterUID: b.uid, Timeout: 5 * time.Minute})
}

// Pods that take their time to end may still use what is removed after the release, such as a database.
func TestRemove_ReturnsWhenThePodsAreGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, map[string]any{"extra": []any{map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "slow"},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"app": "slow"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "slow"}},
				"spec": map[string]any{
					"terminationGracePeriodSeconds": 60,
					"containers": []any{map[string]any{
						"name": "app", "image": harness.Image(), "imagePullPolicy": "IfNotPresent", "args": []any{"serve"},
						"lifecycle": map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": 8}}},
					}},
				},
			},
		},
	}}}))
	if forgotten, err := b.remove(b.id); err != nil || forgotten {
		t.Fatalf("forgotten %v, error %v", forgotten, err)
	}
	left, err := b.client.CoreV1().Pods(b.namespace()).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) > 0 {
		t.Errorf("%d pods are left, error %v", len(left.Items), err)
	}
}

func TestRemove_LeavesNothingBehindAndOthersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, map[string]any{"extra": []any{extraConfig("taken-over")}}))

	forgotten, err := b.remove("another-instance")
	if err != nil || !forgotten {
		t.Fatalf("forgotten %v, error %v", forgotten, err)
	}
	b.wantEnd(1, "deployed", record.Deployed)

	// Another release took one of its objects over meanwhile.
	patch := []byte(`{"metadata":{"annotations":{"meta.helm.sh/release-name":"other"}}}`)
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Patch(t.Context(), "taken-over", types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if forgotten, err := b.remove(b.id); err != nil || forgotten {
		t.Fatalf("forgotten %v, error %v", forgotten, err)
	}
	seen, err := Observe(t.Context(), b.target)
	if err != nil || !seen.Absent() {
		t.Errorf("left: %+v, error %v", seen, err)
	}
	if b.deploymentThere() {
		t.Error("the deployment is still there")
	}
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), "taken-over", metav1.GetOptions{}); err != nil {
		t.Errorf("an object of another release is gone: %v", err)
	}
	if forgotten, err := b.remove(b.id); err != nil || forgotten {
		t.Errorf("removing what is gone: forgotten %v, error %v", forgotten, err)
	}

	b.uid = "another"
	var mismatch *cluster.MismatchError
	if _, err := b.remove(b.id); err == nil {
		t.Error("another cluster was accepted")
	} else {
		mismatch = asError[*cluster.MismatchError](t, err)
		wantText(t, mismatch.Error(), "another")
	}
}

func TestRemove_KeepsAReleaseToWhichRequestsAreSent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	deployment, err := b.client.AppsV1().Deployments(b.namespace()).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(deployment.Items) != 1 {
		t.Fatalf("%d deployments, error %v", len(deployment.Items), err)
	}
	want := deployment.Items[0].Spec.Template.Labels
	uses := []string{"split app sends it 10% of the requests (VirtualService app)"}
	remove := func() error {
		_, err := Remove(t.Context(), b.target, RemoveOptions{InstanceID: b.id, Timeout: time.Minute,
			Routed: func(_ context.Context, pods []map[string]string) ([]string, error) {
				if len(pods) != 1 || !maps.Equal(pods[0], want) {
					t.Errorf("asked for %v, want %v", pods, want)
				}
				return uses, nil
			}})
		return err
	}
	routed := asError[*RoutedError](t, remove())
	wantText(t, routed.Error(), "Release app was not removed", uses[0])
	b.wantEnd(1, "deployed", record.Deployed)
	if !b.deploymentThere() {
		t.Error("the release was removed although requests are sent to it")
	}
	uses = nil
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if b.deploymentThere() {
		t.Error("the release is still there")
	}
}

func TestRemove_SaysWhyAHookFailedWithoutSecrets(t *testing.T) {
	t.Parallel()
	const secret = "canary-of-the-removal"
	b := newBench(t)
	spec := with(t, jobHook("farewell", "pre-delete", "say "+secret))
	spec.WriteOnly = map[string]any{"token": secret}
	b.mustApply(spec)
	_, err := b.remove(b.id)
	hook := asError[*HookError](t, err)
	wantText(t, hook.Error(), "Job/app-farewell", "last lines of container hook", object.MaskSecret)
	if strings.Contains(hook.Error(), secret) {
		t.Errorf("the secret is in the error: %v", err)
	}
	if !b.deploymentThere() {
		t.Error("the release was removed although its hook failed")
	}
}

func TestApply_FinishesAHalfDoneRemovalAndInstallsOverKeptHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	for _, status := range []helmrelease.Status{helmrelease.StatusUninstalling, helmrelease.StatusUninstalled} {
		seen, err := Observe(t.Context(), b.target)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := b.storage().Get("app", seen.Revision)
		if err != nil {
			t.Fatal(err)
		}
		stored.Info.Status = status
		if err := b.storage().Update(stored); err != nil {
			t.Fatal(err)
		}
		outcome := b.mustApply(with(t))
		if len(outcome.Recovered) != 1 {
			t.Errorf("%s: recovered %v", status, outcome.Recovered)
		}
		want := 1
		if status == helmrelease.StatusUninstalled {
			want = 2
		}
		b.wantEnd(want, "deployed", record.Deployed)
	}
}

func TestImport_ReadsWithoutSecrets(t *testing.T) {
	t.Parallel()
	const secret = "canary-of-the-import-0815"
	b := newBench(t)
	if _, err := Import(t.Context(), b.target); err == nil {
		t.Error("a release that is not there was imported")
	} else {
		wantError[*NotImportableError](t, err)
	}
	spec := with(t, map[string]any{"env": []any{map[string]any{"name": "URL", "value": "postgres://app:" + secret + "@db"}}})
	spec.WriteOnly = map[string]any{"token": secret}
	b.mustApply(spec)

	got, err := Import(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	if got.Chart.Digest != spec.Chart.Digest || got.Chart.Source.Path == "" || got.Version != "v1.1.1" || got.Observation.Deployed != 1 ||
		got.Digest == "" {
		t.Errorf("imported: %+v", got)
	}
	if _, there := got.Values["token"]; there || got.Values["image"] != harness.Image() {
		t.Errorf("values: %v", got.Values)
	}
	for key, text := range got.Objects {
		if strings.Contains(text, secret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secret))) {
			t.Errorf("the secret is in %s: %s", key, text)
		}
	}
	wantText(t, got.Objects["v1/Secret/app"], object.MaskSecret)
	wantText(t, got.Objects["apps/v1/Deployment/app"], object.MaskSecret)

	// Without our record nobody knows which values are secret.
	if err := b.client.CoreV1().ConfigMaps(b.namespace()).Delete(t.Context(), record.OfRelease.Object("app"),
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err = Import(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	if got.Values != nil || got.Chart.Name != "app" || len(got.Objects) != 3 {
		t.Errorf("imported without a record: %+v", got)
	}
}

func TestApply_KeepsHistoryThatARollbackMayNeed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	keepTwo := func(o *ApplyOptions) { o.MaxHistory = 2 }
	b.mustApply(with(t), keepTwo)
	b.mustApply(with(t, config("debug")), keepTwo)
	for range 3 {
		if _, err := b.apply(t.Context(), with(t, config("warn"),
			map[string]any{"extra": []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "No_Name"}}}}),
			keepTwo); err == nil {
			t.Fatal("it did not fail")
		}
	}
	b.mustApply(with(t, config("error")), keepTwo)
	revisions, err := listRevisions(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, r := range revisions {
		numbers = append(numbers, r.number)
	}
	if len(numbers) != 2 || numbers[0] != 2 || numbers[1] != 6 {
		t.Errorf("kept %v, want the deployed revision 6 and the one that worked before, 2", numbers)
	}
}

func TestApply_CreatesMissingCRDsOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	live, err := b.target.Cluster.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	const name = "widgets.release.slipway.test"
	gone := func() {
		for _, name := range []string{name, "gadgets.release.slipway.test"} {
			_ = live.Resource(crds).Delete(t.Context(), name, metav1.DeleteOptions{})
			b.eventually("the CRD is gone", func() bool {
				_, err := live.Resource(crds).Get(t.Context(), name, metav1.GetOptions{})
				return cluster.IsNotFound(err)
			})
		}
	}
	gone()
	b.target.Cluster.Invalidate()
	spec := chartSpec(t, "crds", nil)
	if _, err := b.apply(t.Context(), spec); err == nil {
		t.Fatal("an object whose kind is not served was made")
	} else {
		wantText(t, err.Error(), "Widget")
	}

	spec.CreateCRDs = true
	b.mustApply(spec)
	widgets := schema.GroupVersionResource{Group: "release.slipway.test", Version: "v1", Resource: "widgets"}
	widget, err := live.Resource(widgets).Namespace(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fields, _ := widget.Object["spec"].(map[string]any); fields["served"] != true {
		t.Errorf("the templates did not see the new kind: %v", widget.Object["spec"])
	}
	before, err := live.Resource(crds).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.target.Name = "second"
	b.uid = ""
	b.mustApply(spec)
	after, err := live.Resource(crds).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if before.GetUID() != after.GetUID() || before.GetGeneration() != after.GetGeneration() {
		t.Error("an existing CRD was written")
	}
	gone()
}

func TestApply_KeepsReplicasThatAnAutoscalerSet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hpa := map[string]any{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "app"},
		"spec": map[string]any{"minReplicas": 1, "maxReplicas": 5,
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}},
	}
	b.mustApply(with(t, map[string]any{"extra": []any{hpa}}))
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: b.namespace()},
		Spec: autoscalingv1.ScaleSpec{Replicas: 3}}
	if _, err := b.client.AppsV1().Deployments(b.namespace()).UpdateScale(t.Context(), "app", scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, broken := range []map[string]any{{"readinessPath": "/not-there"}, config("debug")} {
		limit := 3 * time.Minute
		if broken["readinessPath"] != nil {
			limit = 20 * time.Second
		}
		_, err := b.apply(t.Context(), with(t, map[string]any{"extra": []any{hpa}}, broken), timeout(limit))
		if (err != nil) != (broken["readinessPath"] != nil) {
			t.Fatal(err)
		}
		d, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if *d.Spec.Replicas != 3 {
			t.Errorf("the autoscaler's 3 replicas were set to %d", *d.Spec.Replicas)
		}
	}
}

func TestObserve_RefusesTheRecordOfOthersAndOfNewerVersions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	change := func(from, to string) {
		t.Helper()
		m, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), record.OfRelease.Object("app"), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(m.Data["record"], from) {
			t.Fatalf("the record does not say %s: %s", from, m.Data["record"])
		}
		m.Data["record"] = strings.Replace(m.Data["record"], from, to, 1)
		if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	version := func(n int) string { return fmt.Sprintf(`"schemaVersion":%d,`, n) }
	change(version(record.OfRelease.Schema), version(record.OfRelease.Schema+1))
	_, err := Observe(t.Context(), b.target)
	wantError[*record.NewerError](t, err)
	_, err = b.apply(t.Context(), with(t, config("debug")))
	wantError[*record.NewerError](t, err)
	change(version(record.OfRelease.Schema+1), version(record.OfRelease.Schema))

	b.id = "another-state"
	_, err = b.apply(t.Context(), with(t, config("debug")))
	wantText(t, asError[*record.OwnerError](t, err).Error(), "another Terraform state")

	change(`"client":"client-a"`, `"client":"client-b"`)
	_, err = Observe(t.Context(), b.target)
	wantText(t, asError[*record.ForeignError](t, err).Error(), "client-b")
	_, err = b.apply(t.Context(), with(t, config("debug")))
	wantError[*record.ForeignError](t, err)
	if got := b.liveLevel(); got != "info" {
		t.Errorf("it was changed: %s", got)
	}
}

func TestObserve_TakesTwoRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	config := b.target.Cluster.RESTConfig()
	address, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var requests []string
	proxy := &httputil.ReverseProxy{Transport: config.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		mu.Lock()
		requests = append(requests, r.In.Method+" "+r.In.URL.Path)
		mu.Unlock()
		r.SetURL(address)
	}}
	server := httptest.NewServer(proxy)
	defer server.Close()
	counted, err := cluster.NewConnections(cluster.Config{Clusters: map[string]cluster.Connection{"counted": {Host: server.URL}}}).
		Cluster(t.Context(), cluster.Coordinate{Context: "counted"})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := Observe(t.Context(), benchTarget(counted, b.namespace()))
	if err != nil || seen.Revision != 1 || seen.Record == nil {
		t.Fatalf("%+v, %v", seen, err)
	}
	if len(requests) != 2 {
		t.Errorf("it took %d requests: %v", len(requests), requests)
	}
}

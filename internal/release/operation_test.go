// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

const (
	testClient = "client-a"
	testStage  = "dev"
)

// shortGraces let tests of failures end soon.
var shortGraces = &rollout.Graces{
	Image: 5 * time.Second, Config: 5 * time.Second, Refused: 5 * time.Second, Unschedulable: 5 * time.Second, Vanished: 5 * time.Second,
	Unserved: 5 * time.Second, Crashes: 1,
}

// bench is a namespace on the test cluster with everything to work on a release in it.
type bench struct {
	t      *testing.T
	target Target
	client kubernetes.Interface
	// id and uid are what the state of a resource would hold.
	id, uid string
}

func testCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	return tenant.Connect(t, harness.Kubeconfig(t))
}

// newBench makes a namespace that belongs to a client, and deletes it at the end.
func newBench(t *testing.T) *bench {
	t.Helper()
	c := testCluster(t)
	namespace := harness.Name("slipway-release")
	harness.Namespace(t, namespace, testClient, testStage)
	return &bench{t: t, client: harness.Kubernetes(t), id: "11111111-0000-0000-0000-000000000001", target: benchTarget(c, namespace)}
}

func benchTarget(c *cluster.Cluster, namespace string) Target {
	return Target{Cluster: c, Name: "app", Handle: environment.Handle{
		Client: testClient, Stage: testStage, Cluster: c.Coordinate(), Namespace: namespace,
	}}
}

// with lays values over the chart's defaults, which alone give a service that becomes ready.
func with(t *testing.T, layers ...map[string]any) Spec {
	t.Helper()
	values := map[string]any{"image": harness.Image()}
	for _, layer := range layers {
		maps.Copy(values, layer)
	}
	return chartSpec(t, "app", values)
}

func chartSpec(t *testing.T, name string, values map[string]any) Spec {
	t.Helper()
	spec, err := loadOperationSpec(t.Context(), t.TempDir(), name, values)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func loadOperationSpec(ctx context.Context, cache, name string, values map[string]any) (Spec, error) {
	source := chart.Source{Path: filepath.Join("testdata", "operation", name)}
	c, err := chart.NewLoader(cache, nil).Get(ctx, source, "")
	return Spec{Chart: c, Source: source, Version: "v1.1.1", Values: values}, err
}

// apply is what the provider does in Create, and in Update once the release is in state.
func (b *bench) apply(ctx context.Context, spec Spec, change ...func(*ApplyOptions)) (*Outcome, error) {
	options := ApplyOptions{InstanceID: b.id, ClusterUID: b.uid, Timeout: 3 * time.Minute, graces: shortGraces, Progress: func(s string) {
		b.t.Log("  progress: " + s)
	}}
	for _, c := range change {
		c(&options)
	}
	start := time.Now()
	outcome, err := Apply(ctx, b.target, spec, options)
	b.t.Logf("apply: revision %d, %s, changed %v, after %s: %v", outcome.Revision, outcome.Status, outcome.Changed,
		time.Since(start).Round(time.Millisecond), err)
	for _, r := range outcome.Recovered {
		b.t.Log("  recovered: " + r)
	}
	return outcome, err
}

func timeout(d time.Duration) func(*ApplyOptions) { return func(o *ApplyOptions) { o.Timeout = d } }

// mustApply applies and keeps what the state would hold.
func (b *bench) mustApply(spec Spec, change ...func(*ApplyOptions)) *Outcome {
	b.t.Helper()
	outcome, err := b.apply(b.t.Context(), spec, change...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.uid = outcome.ClusterUID
	return outcome
}

// wantEnd compares what Helm, the record and the cluster say at the end of an operation.
func (b *bench) wantEnd(revision int, status string, phase record.Phase) *Observation {
	b.t.Helper()
	seen, err := Observe(b.t.Context(), b.target)
	if err != nil {
		b.t.Fatal(err)
	}
	if seen.Revision != revision || seen.Status != status {
		b.t.Errorf("Helm says revision %d is %s, want revision %d %s", seen.Revision, seen.Status, revision, status)
	}
	switch {
	case seen.Record == nil:
		b.t.Fatal("there is no record")
	case seen.Record.Phase != phase:
		b.t.Errorf("the record's phase is %s, want %s (%+v)", seen.Record.Phase, phase, seen.Record)
	}
	if status == "deployed" {
		if seen.Outside() {
			b.t.Errorf("revision %d counts as made outside: %+v", seen.Revision, seen.Record)
		}
		if len(seen.Record.KnownGood) == 0 || seen.Record.KnownGood[0].Revision != revision {
			b.t.Errorf("revision %d is not the newest known-good one: %+v", revision, seen.Record.KnownGood)
		}
		b.wantReady()
	}
	return seen
}

func (b *bench) wantReady() {
	b.t.Helper()
	d, err := b.client.AppsV1().Deployments(b.namespace()).Get(b.t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	if d.Status.ReadyReplicas < 1 || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas {
		b.t.Errorf("the deployment is not ready: %+v", d.Status)
	}
}

func (b *bench) namespace() string { return b.target.Handle.Namespace }

// storage is Helm's, as any other tool sees it.
func (b *bench) storage() *storage.Storage {
	return storage.Init(driver.NewSecrets(b.client.CoreV1().Secrets(b.namespace())))
}

// liveLevel reads what is really live of config("…").
func (b *bench) liveLevel() string {
	b.t.Helper()
	m, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(b.t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return m.Data["level"]
}

// eventually waits for something in the cluster.
func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	b.t.Fatalf("%s: not within 5 minutes", what)
}

func asError[T error](t *testing.T, err error) T {
	t.Helper()
	var want T
	if !errors.As(err, &want) {
		t.Fatalf("the error is a %T, want a %T: %v", err, want, err)
	}
	return want
}

// wantError is asError where only the kind of error matters.
func wantError[T error](t *testing.T, err error) {
	t.Helper()
	_ = asError[T](t, err)
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func config(level string) map[string]any {
	return map[string]any{"config": map[string]any{"level": level}}
}

// jobHook is one Job as a hook of the test chart.
func jobHook(name, events string, args ...any) map[string]any {
	return map[string]any{"hooks": []any{map[string]any{"name": name, "events": events, "args": args}}}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

const (
	testClient = "client-a"
	testStage  = "dev"
)

// shortGraces let tests of failures end soon.
var shortGraces = rollout.Graces{
	Image: 5 * time.Second, Config: 5 * time.Second, Refused: 5 * time.Second, Unschedulable: 5 * time.Second, Vanished: 5 * time.Second,
	Crashes: 1,
}

// Spec is a release of the test chart.
type Spec struct {
	Version                      string
	Values, Sensitive, WriteOnly map[string]any
}

// installed is what a bench has installed.
type installed struct{ Revision int }

// bench is a namespace on the test cluster with a release to verify.
type bench struct {
	t      *testing.T
	target ownership.Release
	client kubernetes.Interface
}

func testCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	return tenant.Connect(t, harness.Kubeconfig(t))
}

// newBench makes a namespace that belongs to a client, and deletes it at the end.
func newBench(t *testing.T) *bench {
	t.Helper()
	c := testCluster(t)
	namespace := harness.Name("slipway-verify")
	harness.Namespace(t, namespace, testClient, testStage)
	return &bench{t: t, client: harness.Kubernetes(t), target: benchTarget(c, namespace)}
}

func benchTarget(c *cluster.Cluster, namespace string) ownership.Release {
	return ownership.Release{Cluster: c, Name: "app", Handle: environment.Handle{
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
	return Spec{Version: "v1.1.1", Values: values}
}

func testChart(t *testing.T) *helmchart.Chart {
	t.Helper()
	chart, err := loader.LoadDir(filepath.Join("..", "release", "testdata", "operation", "app"))
	if err != nil {
		t.Fatal(err)
	}
	return chart
}

// begin begins an operation as an apply does. Each has a subject of its own: one that checks lasts as long as its test.
func (b *bench) begin() (*operation.Operation, *rollout.Waiter) {
	b.t.Helper()
	op, err := operation.Begin(b.t.Context(), operation.Options{
		Cluster: b.target.Cluster, Handle: b.target.Handle, Subject: harness.Name("release"), Timeout: 10 * time.Minute,
		Progress: func(s string) { b.t.Log("  progress: " + s) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(b.target.Cluster.RESTConfig())
	if err != nil {
		b.t.Fatal(err)
	}
	return op, &rollout.Waiter{
		Release: b.target.Name, Namespace: b.namespace(), Kubernetes: op.Reads, Dynamic: objects,
		Classify: b.target.Cluster.Classify, Valid: op.Lost, Graces: shortGraces,
	}
}

// mustApply installs or upgrades the release, and waits until its pods are ready.
func (b *bench) mustApply(spec Spec) installed {
	b.t.Helper()
	op, waiter := b.begin()
	defer func() {
		if err := op.Finish(); err != nil {
			b.t.Error(err)
		}
	}()
	kube, err := helmkube.New(helmkube.Options{
		Context: op.Context(), Target: b.target, Config: op.Config(operation.WhileItRuns),
		Waiter: waiter, Ended: op.Ended, Redact: func(text string) string { return text }, Doing: op.Doing,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	values := maps.Clone(spec.Values)
	maps.Copy(values, spec.Sensitive)
	maps.Copy(values, spec.WriteOnly)
	helm := kube.Configuration(helmkube.NewStorage(op.Durable, b.namespace(), nil), nil)
	var made *helmrelease.Release
	if _, before := helm.Releases.Last(b.target.Name); before != nil {
		install := action.NewInstall(helm)
		install.ReleaseName, install.Namespace, install.Wait, install.Timeout = b.target.Name, b.namespace(), true, time.Minute
		install.DisableOpenAPIValidation = true
		made, err = install.Run(testChart(b.t), values)
	} else {
		upgrade := action.NewUpgrade(helm)
		upgrade.Namespace, upgrade.ResetValues, upgrade.Wait, upgrade.Timeout = b.namespace(), true, true, time.Minute
		upgrade.DisableOpenAPIValidation = true
		made, err = upgrade.Run(b.target.Name, testChart(b.t), values)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return installed{Revision: made.Version}
}

// checking installs spec and makes the environment in which its revision is verified, as an apply does.
func (b *bench) checking(spec Spec) Environment {
	b.t.Helper()
	return b.checkingRevision(b.target, b.mustApply(spec).Revision, spec)
}

func (b *bench) checkingRevision(target ownership.Release, revision int, spec Spec) Environment {
	b.t.Helper()
	stored, err := b.storage().Get(target.Name, revision)
	if err != nil {
		b.t.Fatal(err)
	}
	op, waiter := b.begin()
	b.t.Cleanup(func() {
		if err := op.Finish(); err != nil {
			b.t.Error(err)
		}
	})
	return Environment{
		Target: target, Op: op, Graces: waiter.Graces, Secrets: redact.New(spec.Sensitive, spec.WriteOnly), Release: stored,
		Version: spec.Version,
	}
}

func (b *bench) namespace() string { return b.target.Handle.Namespace }

// storage is Helm's, as any other tool sees it.
func (b *bench) storage() *storage.Storage { return helmkube.NewStorage(b.client, b.namespace(), nil) }

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

// jobHook is one Job as a hook of the test chart.
func jobHook(name, events string, args ...any) map[string]any {
	return map[string]any{"hooks": []any{map[string]any{"name": name, "events": events, "args": args}}}
}

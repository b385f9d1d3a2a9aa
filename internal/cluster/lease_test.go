// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var shortTiming = timing{
	takeover: 1500 * time.Millisecond, renew: 200 * time.Millisecond, valid: 700 * time.Millisecond,
	retry: 50 * time.Millisecond, report: 100 * time.Millisecond, request: 400 * time.Millisecond,
}

// testHolder is a Terraform run of its own on the test cluster. breaker, when set, makes its requests fail.
func testHolder(t *testing.T, holder string) (c *Cluster, breaker *atomic.Bool) {
	t.Helper()
	tested := testCluster(t)
	breaker = &atomic.Bool{}
	config := tested.RESTConfig()
	next := config.Transport
	config.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if breaker.Load() {
			return nil, errors.New("connection refused by the test")
		}
		return next.RoundTrip(r)
	})
	return &Cluster{
		coordinate: tested.coordinate, config: config, leases: map[string]*sharedLease{}, timing: shortTiming, holder: holder,
	}, breaker
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func testNamespace(t *testing.T, c *Cluster) string {
	t.Helper()
	client, err := c.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	name := "slipway-lease-" + strings.ToLower(rand.Text()[:6])
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil &&
			!apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	return name
}

func readLease(t *testing.T, c *Cluster, namespace string) *coordinationv1.Lease {
	t.Helper()
	client, err := c.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	lease, err := client.CoordinationV1().Leases(namespace).Get(t.Context(), LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestHold_IsSharedByTheOperationsOfOneRun(t *testing.T) {
	c, _ := testHolder(t, "run one")
	namespace := testNamespace(t, c)

	first, err := c.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := holderOf(readLease(t, c, namespace)); got != "run one" || first.Holder() != got {
		t.Errorf("held by %q", got)
	}

	for range 2 { // Releasing twice counts once.
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := holderOf(readLease(t, c, namespace)); got != "run one" {
		t.Errorf("given back while it is in use: %q", got)
	}
	if err := second.Valid(); err != nil {
		t.Error(err)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := holderOf(readLease(t, c, namespace)); got != "" {
		t.Errorf("still held by %q", got)
	}
}

func TestHold_TwoProcessesOfOneRunShareAndTheLastGivesBack(t *testing.T) {
	one, _ := testHolder(t, "run one")
	other, _ := testHolder(t, "run one")
	namespace := testNamespace(t, one)

	first, err := one.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * shortTiming.renew)
	if err := second.Valid(); err != nil {
		t.Error(err)
	}
	if got := holderOf(readLease(t, one, namespace)); got != "run one" {
		t.Errorf("given back under the other process: %q", got)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := holderOf(readLease(t, one, namespace)); got != "" {
		t.Errorf("still held by %q", got)
	}
}

func TestHold_WaitsForAnotherRunThatRenews(t *testing.T) {
	one, _ := testHolder(t, "run one")
	two, _ := testHolder(t, "run two")
	namespace := testNamespace(t, one)
	lease, err := one.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}

	// Far longer than the time after which a silent holder would be taken over.
	ctx, cancel := context.WithTimeout(t.Context(), 2*shortTiming.takeover)
	defer cancel()
	var waitedFor []string
	_, err = two.Hold(ctx, namespace, func(holder string) { waitedFor = append(waitedFor, holder) })

	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "run one" || held.Namespace != namespace {
		t.Fatalf("got %v", err)
	}
	if len(waitedFor) < 2 || waitedFor[0] != "run one" {
		t.Errorf("waited for %v", waitedFor)
	}
	if err := lease.Valid(); err != nil {
		t.Error(err)
	}

	// Freed, it is had at once.
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	taken, err := two.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(began); waited > shortTiming.takeover/2 {
		t.Errorf("a free Lease took %s", waited)
	}
	if err := taken.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestHold_TakesOverFromADeadRunOnlyAfterWatchingIt(t *testing.T) {
	dead, broken := testHolder(t, "dead run")
	two, _ := testHolder(t, "run two")
	namespace := testNamespace(t, dead)
	lost, err := dead.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true) // As after kill -9: nothing is renewed and nothing given back.

	began := time.Now()
	taken, err := two.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(began); waited < shortTiming.takeover {
		t.Errorf("taken over after only %s", waited)
	}

	// The fence: long before the takeover, the old holder had stopped.
	if err := lost.Valid(); !isA[*LostError](err) {
		t.Errorf("the old holder still thinks it holds: %v", err)
	}
	broken.Store(false)
	time.Sleep(4 * shortTiming.renew)
	err = lost.Valid()
	if !isA[*LostError](err) || !strings.Contains(err.Error(), "run two") {
		t.Errorf("the old holder does not see who has it: %v", err)
	}
	if err := lost.Release(t.Context()); err != nil {
		t.Errorf("releasing what is lost: %v", err)
	}
	if got := holderOf(readLease(t, two, namespace)); got != "run two" {
		t.Errorf("the old holder's release changed the holder to %q", got)
	}
	if err := taken.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestHold_OnlyOneOfTwoTakersWins(t *testing.T) {
	one, _ := testHolder(t, "run one")
	two, _ := testHolder(t, "run two")
	namespace := testNamespace(t, one)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		var (
			wait   sync.WaitGroup
			leases [2]*Lease
			errs   [2]error
		)
		for i, c := range []*Cluster{one, two} {
			wait.Go(func() { leases[i], errs[i] = c.Hold(ctx, namespace, nil) })
		}
		wait.Wait()
		cancel()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("not exactly one won: %v, %v", errs[0], errs[1])
		}
		for _, lease := range leases {
			if lease != nil {
				if err := lease.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestValid_FailsWhenRenewalsFailAndRecoversUnlessTakenOver(t *testing.T) {
	c, broken := testHolder(t, "run one")
	namespace := testNamespace(t, c)
	lease, err := c.Hold(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	time.Sleep(shortTiming.valid + 300*time.Millisecond)
	if err := lease.Valid(); !isA[*LostError](err) || !strings.Contains(err.Error(), "refused by the test") {
		t.Errorf("got %v", err)
	}
	broken.Store(false)
	time.Sleep(3 * shortTiming.renew)
	if err := lease.Valid(); err != nil {
		t.Errorf("renewed again, still %v", err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRelease_WorksAfterTheContextHasEnded(t *testing.T) {
	c, _ := testHolder(t, "run one")
	namespace := testNamespace(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	lease, err := c.Hold(ctx, namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	time.Sleep(2 * shortTiming.valid)
	if err := lease.Valid(); err != nil {
		t.Errorf("the Lease ended with the context, while clean-up still needs it: %v", err)
	}
	if err := lease.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if got := holderOf(readLease(t, c, namespace)); got != "" {
		t.Errorf("still held by %q", got)
	}
}

func TestGate_RefusesMutationsOnceTheRightIsGone(t *testing.T) {
	var passed []string
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		passed = append(passed, r.Method+" "+r.URL.RequestURI())
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	lease := &Lease{session: &session{lock: leaseLock{namespace: "n", timing: defaultTiming}, renewed: time.Now()}}
	stale := &Lease{session: &session{lock: leaseLock{namespace: "n", timing: defaultTiming}, renewed: time.Now().Add(-21 * time.Second)}}
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("interrupted"))
	defer cancel(nil)

	tests := map[string]struct {
		gate    http.RoundTripper
		method  string
		url     string
		refused bool
	}{
		"write, right held":      {Gate(ctx, lease, next), http.MethodPost, "https://x/api/v1/namespaces/n/secrets", false},
		"write, no lease asked":  {Gate(ctx, nil, next), http.MethodPut, "https://x/api/v1/namespaces/n", false},
		"write, context ended":   {Gate(ended, lease, next), http.MethodPatch, "https://x/api/v1/namespaces/n", true},
		"write, lease too old":   {Gate(ctx, stale, next), http.MethodDelete, "https://x/api/v1/namespaces/n/pods/p", true},
		"read, context ended":    {Gate(ended, stale, next), http.MethodGet, "https://x/api/v1/pods", false},
		"dry run, lease too old": {Gate(ctx, stale, next), http.MethodPatch, "https://x/api/v1/namespaces/n?dryRun=All", false},
		"access review, too old": {
			Gate(ctx, stale, next), http.MethodPost, "https://x/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false,
		},
		"dryRun in another spirit": {Gate(ctx, stale, next), http.MethodPatch, "https://x/api/v1/namespaces/n?dryRun=None", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			passed = nil
			brief, stop := context.WithTimeout(t.Context(), 50*time.Millisecond) // A Lease that is too old is waited for.
			defer stop()
			request, err := http.NewRequestWithContext(brief, test.method, test.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := test.gate.RoundTrip(request)
			if response != nil {
				_ = response.Body.Close()
			}
			if refused := isA[*GateError](err); refused != test.refused {
				t.Errorf("refused %v (%v), want %v", refused, err, test.refused)
			}
			if sent := len(passed) > 0; sent == test.refused {
				t.Errorf("sent %v", passed)
			}
		})
	}
}

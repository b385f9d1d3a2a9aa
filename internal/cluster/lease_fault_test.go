// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// holderOn is a Terraform run whose API server is api.
func holderOn(api *testAPI, holder string) *Cluster {
	return &Cluster{
		config: &rest.Config{Host: api.URL, Transport: newRetries(&http.Transport{}, "slipway/1"), QPS: -1, UserAgent: "slipway/1"},
		leases: map[string]*sharedLease{}, timing: shortTiming, holder: holder,
	}
}

// failing lets each request fail while it is set, in all ways in turn.
func failing(api *testAPI) *atomic.Bool {
	var gone atomic.Bool
	ways := []fault{unavailable, resetBefore, internalBefore, resetAfter, tooMany, cutOff}
	api.failsBy(func(n int, _ *http.Request) fault {
		if gone.Load() {
			return ways[n%len(ways)]
		}
		return well
	})
	return &gone
}

func TestLease_SurvivesAMomentOfFailingRequests(t *testing.T) {
	t.Parallel()
	api := newTestAPI(t)
	gone := failing(api)
	c := holderOn(api, "run one")

	gone.Store(true)
	time.AfterFunc(shortTiming.takeover, func() { gone.Store(false) })
	lease, err := c.Hold(t.Context(), "a", nil)
	if err != nil {
		t.Fatalf("taking it: %v", err)
	}

	gone.Store(true)
	for deadline := time.Now().Add(20 * time.Second); lease.Valid() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it stays valid without renewals")
		}
	}
	if err := lease.Lost(); err != nil {
		t.Errorf("not renewed in time, it counts as lost: %v", err)
	}
	brief, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := lease.Await(brief); !isA[*LostError](err) {
		t.Errorf("waiting is given up with %v", err)
	}
	time.AfterFunc(300*time.Millisecond, func() { gone.Store(false) })
	if err := lease.Await(t.Context()); err != nil {
		t.Errorf("renewed again, still %v", err)
	}

	gone.Store(true)
	time.AfterFunc(shortTiming.takeover/2, func() { gone.Store(false) })
	if err := lease.Release(t.Context()); err != nil {
		t.Fatalf("giving it back: %v", err)
	}
	if got := holderOf(readLease(t, c, "a")); got != "" {
		t.Errorf("still held by %q", got)
	}
}

// A run that could not see the Lease for a while does not know whether it was renewed meanwhile.
func TestLease_IsWatchedAnewAfterAnOutage(t *testing.T) {
	t.Parallel()
	api := newTestAPI(t)
	one := holderOn(api, "run one")
	lease, err := one.Hold(t.Context(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := failing(api)
	two := holderOn(api, "run two")
	seen := make(chan struct{}, 100)
	taken := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := two.Hold(ctx, "a", func(string) { seen <- struct{}{} })
		taken <- err
	}()
	<-seen
	// Longer than it takes to take the Lease of a dead run over.
	gone.Store(true)
	time.Sleep(2 * shortTiming.takeover)
	gone.Store(false)
	if err := lease.Await(t.Context()); err != nil {
		t.Errorf("taken over from a run that lives: %v", err)
	}
	cancel()
	if err := <-taken; !isA[*HeldError](err) && !errors.Is(err, context.Canceled) && !IsOutage(err) {
		t.Errorf("the other run: %v", err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A write waits while the Lease could not be renewed, and is sent when it is valid again.
func TestGate_WritesWaitForTheRenewal(t *testing.T) {
	t.Parallel()
	api := newTestAPI(t)
	c := holderOn(api, "run one")
	lease, err := c.Hold(t.Context(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := failing(api)
	gone.Store(true)
	time.Sleep(shortTiming.valid + 300*time.Millisecond)
	time.AfterFunc(200*time.Millisecond, func() { gone.Store(false) })
	client := api.client(t, Gate(t.Context(), lease, newRetries(&http.Transport{}, "slipway/1")))
	if _, err := client.CoreV1().ConfigMaps("a").Create(t.Context(), testObject("x", "new"), metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Of two runs that take a Lease through failing requests, one has it.
func TestLease_IsNeverHeldTwiceThroughFailingRequests(t *testing.T) {
	t.Parallel()
	for range 10 {
		api := newTestAPI(t)
		ways := []fault{resetAfter, well, internalAfter, resetBefore, cutOff, well}
		api.failsBy(func(n int, _ *http.Request) fault { return ways[n%len(ways)] })
		ctx, cancel := context.WithTimeout(t.Context(), 2*shortTiming.request)
		held := make(chan *Lease, 2)
		for _, name := range []string{"run one", "run two"} {
			c := holderOn(api, name)
			go func() {
				lease, err := c.Hold(ctx, "a", nil)
				if err != nil {
					lease = nil
				}
				held <- lease
			}()
		}
		winners := 0
		for range 2 {
			if lease := <-held; lease != nil {
				winners++
				defer func() { _ = lease.Release(t.Context()) }() // The API goes with the test.
			}
		}
		cancel()
		if winners > 1 {
			t.Fatal("both runs hold the Lease")
		}
	}
}

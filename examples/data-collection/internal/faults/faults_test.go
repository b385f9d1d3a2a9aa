// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package faults

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestInjector_FailsExactlyTheShareOfRequests(t *testing.T) {
	for share, want := range map[float64]int{0: 0, 0.001: 1, 0.05: 50, 0.2: 200, 1.0 / 3: 333, 0.5: 500, 0.7: 700, 1: 1000} {
		injector := NewInjector(Faults{ErrorShare: share})
		failed := 0
		for range 1000 {
			if injector.Request(t.Context()) {
				failed++
			}
		}
		if failed != want {
			t.Errorf("share %v: %d of 1000 requests fail, want %d", share, failed, want)
		}
	}
}

func TestInjector_SpreadsFailuresEvenly(t *testing.T) {
	injector := NewInjector(Faults{ErrorShare: 0.2})
	for n := 1; n <= 50; n++ {
		if got, want := injector.Request(t.Context()), n%5 == 0; got != want {
			t.Errorf("request %d fails: %v, want %v", n, got, want)
		}
	}
}

func TestInjector_FailsNoRequestBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		injector := NewInjector(Faults{ErrorShare: 0.5, ErrorAfter: 10 * time.Second})
		for second := range 20 {
			failed := 0
			for range 10 {
				if injector.Request(t.Context()) {
					failed++
				}
			}
			want := 0
			if second >= 10 {
				want = 5
			}
			if failed != want {
				t.Errorf("after %d s, %d of 10 requests fail, want %d", second, failed, want)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestInjector_IsReadyBetweenDelayAndFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		injector := NewInjector(Faults{ReadinessDelay: 10 * time.Second, FailReadinessAfter: 30 * time.Second})
		for second := range 40 {
			ready := injector.Readiness() == nil
			if want := second >= 10 && second < 30; ready != want {
				t.Errorf("after %d s ready is %v, want %v", second, ready, want)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestInjector_WaitsForTheLatencyButNotLongerThanTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		injector := NewInjector(Faults{Latency: time.Minute})
		begin := time.Now()
		injector.Request(t.Context())
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("a request took %v, want 1m", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		injector.Request(ctx)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("a request whose sender left after 1s took %v", took)
		}
	})
}

func TestInjector_DoesNothingByDefault(t *testing.T) {
	injector := NewInjector(Faults{})
	if err := injector.Readiness(); err != nil || injector.Request(t.Context()) {
		t.Errorf("the zero value misbehaves: %v", err)
	}
}

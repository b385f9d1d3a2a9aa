// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package faults lets the service misbehave on request, so that what watches over it can be tested.
package faults

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Faults defines how to misbehave. The zero value has no faults.
type Faults struct {
	// ReadinessDelay is how long after the start the service reports that it is not ready.
	ReadinessDelay time.Duration
	// FailReadinessAfter is when after the start it stops being ready; 0 is never.
	FailReadinessAfter time.Duration
	// ErrorShare is the share of requests that fail, from 0 to 1. They are spread evenly and counted, not drawn: with
	// 0.2 every fifth request fails. Probes are not requests.
	ErrorShare float64
	// ErrorAfter is when after the start requests begin to fail. Until then ErrorShare does nothing.
	ErrorAfter time.Duration
	// Latency is added to each request.
	Latency time.Duration
	// CrashAfter is when after the start the process ends itself; 0 is never.
	CrashAfter time.Duration
	// CrashOnStart ends the process before it listens.
	CrashOnStart bool
	// ReportVersion is the version that the service reports, as a build from the wrong commit does. Empty means its own.
	ReportVersion string
}

// Injector carries out Faults for one process.
type Injector struct {
	faults  Faults
	started time.Time
	count   atomic.Int64
}

// NewInjector counts times from now on.
func NewInjector(f Faults) *Injector {
	return &Injector{faults: f, started: time.Now()}
}

// Readiness returns an error while the service must report that it is not ready.
func (i *Injector) Readiness() error {
	age := time.Since(i.started)
	switch {
	case age < i.faults.ReadinessDelay:
		return fmt.Errorf("READINESS_DELAY=%s has not passed", i.faults.ReadinessDelay)
	case i.faults.FailReadinessAfter > 0 && age >= i.faults.FailReadinessAfter:
		return fmt.Errorf("FAIL_READINESS_AFTER=%s has passed", i.faults.FailReadinessAfter)
	}
	return nil
}

// Request is called once for each request: it waits for the latency and reports whether the request must fail.
func (i *Injector) Request(ctx context.Context) (fail bool) {
	if i.faults.Latency > 0 {
		timer := time.NewTimer(i.faults.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if i.faults.ErrorShare <= 0 || time.Since(i.started) < i.faults.ErrorAfter {
		return false
	}
	n := float64(i.count.Add(1))
	// The n-th request fails when the number of failures due rises with it. The small term hides rounding, such as
	// 5 × 0.2 being a little less than 1.
	const rounding = 1e-9
	return int64(n*i.faults.ErrorShare+rounding) > int64((n-1)*i.faults.ErrorShare+rounding)
}

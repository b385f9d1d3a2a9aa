// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// Watched says what an analysis is made on that is not about one release: traffic that is moved between tracks of pods.
type Watched struct {
	// Target is the environment; its Name stands for {{ release }} in queries.
	Target ownership.Release
	// Version stands for {{ version }} in queries.
	Version string
	// Pods are those that the check "pods" is about.
	Pods analysis.PodLister
	// Weight is the percentage of the requests that the pods have, and HeaderRouted that some come to them whatever it is. They matter where
	// the analysis compares the share with it.
	Weight       int
	HeaderRouted bool
	// Lost returns why the analysis must stop although its context has not ended, nil while it may continue: operation.Lost.
	Lost func() error
	// Start is when an analysis that was cut off had begun, zero for a new one.
	Start time.Time
	// Abort is asked every few seconds. It may be nil.
	Abort analysis.Abort
	// Progress may be nil.
	Progress func(string)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// roomyHeap is the size, in bytes, that the heap may reach before memory is collected. Terraform starts a provider three
// times for a plan and lets it answer hundreds of short requests; with Go's own 4 MiB to begin with, one sixth of the time
// went into collecting memory of which nearly all was garbage.
const roomyHeap = 24 << 20

// collectSparsely lets the heap grow to roomyHeap, and beyond it to twice what is live, as Go does by itself. GOGC in the
// environment, if set, is left in charge.
func collectSparsely() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(100 * roomyHeap / goMinimum)
	adaptAfterCollection()
}

// goMinimum is the heap at which Go collects first, at 100 %; it is in proportion to the percentage.
const goMinimum = 4 << 20

// adaptAfterCollection sets the percentage anew for what is live, once in each collection.
func adaptAfterCollection() {
	type sentinel struct{ _ *byte } // with a pointer, so that it shares its memory with nothing
	runtime.AddCleanup(&sentinel{}, func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if bytes := live[0].Value.Uint64(); bytes > 0 {
			debug.SetGCPercent(max(100, int(100*roomyHeap/bytes)-100))
		}
		adaptAfterCollection()
	}, struct{}{})
}

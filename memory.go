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
// times for a plan and lets it answer hundreds of short requests; with Go's initial heap of 4 MiB, one sixth
// of the time went into collecting memory of which nearly all was garbage.
const roomyHeap = 24 << 20

// collectSparsely lets the heap grow to roomyHeap, and beyond it to twice the live heap, which is Go's default. If GOGC is set
// in the environment, it applies instead.
func collectSparsely() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(100 * roomyHeap / goMinimum)
	adaptAfterCollection()
}

// goMinimum is the heap size of Go's first collection at 100 %; it is proportional to the percentage.
const goMinimum = 4 << 20

// adaptAfterCollection adapts the percentage to the live heap, once after each collection.
func adaptAfterCollection() {
	type sentinel struct{ _ *byte } // with a pointer, so that it has memory of its own
	runtime.AddCleanup(&sentinel{}, func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if bytes := live[0].Value.Uint64(); bytes > 0 {
			debug.SetGCPercent(max(100, int(100*roomyHeap/bytes)-100))
		}
		adaptAfterCollection()
	}, struct{}{})
}

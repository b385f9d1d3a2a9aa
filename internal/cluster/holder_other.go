// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package cluster

// processDetails is empty where there is no /proc: a process id is used again only after a long time, and a Lease
// that is not renewed runs out in 30 s.
func processDetails(int) string { return "" }

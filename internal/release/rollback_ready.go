// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

// Readiness says whether a failed revision could be taken back.
type Readiness struct {
	Ready bool
	// Revision and Version are those that would be restored; 0 and empty where there is none.
	Revision int
	Version  string
	// Why is a sentence; empty where it is ready.
	Why string
}

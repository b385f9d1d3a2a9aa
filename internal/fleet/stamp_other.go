// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package fleet

import "os"

// localDevice: stamps are not believed on this system, so that every file is read.
func localDevice(string) (device uint64, ok bool) { return 0, false }

func stampOf(path string) (stamp, uint64, error) {
	_, err := os.Stat(path)
	return stamp{}, 0, err
}

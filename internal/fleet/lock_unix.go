// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package fleet

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockTree prevents two runs from writing to one tree at the same time. The kernel frees the lock when the process ends in any way,
// and no file is left behind.
func lockTree(tree string) (unlock func(), err error) {
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of generated files: %w", err)
	}
	folder, err := os.Open(tree)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of generated files: %w", err)
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = folder.Close() // opened for reading
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &LockedError{Tree: tree}
		}
		return nil, fmt.Errorf("locking the folder of generated files: %w", err)
	}
	return func() { _ = folder.Close() }, nil
}

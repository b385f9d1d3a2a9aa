// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fileLock is an exclusive lock (flock) on an open file. The kernel releases it when every process that has the open file
// is gone, so a killed command never leaves a lock behind. A child that inherits the file holds the lock as well.
type fileLock struct{ file *os.File }

func (l fileLock) release() { _ = l.file.Close() }

// lockFile takes the lock on path, which is made if missing, and waits as long as ctx allows. It calls onWait once if it
// has to wait.
func lockFile(ctx context.Context, path string, onWait func()) (fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileLock{}, fmt.Errorf("locking %s: %w", path, err)
	}
	return waitForLock(ctx, f, onWait)
}

// lockMachine takes a lock that all clusters of the machine share, whichever cache directory they use, for the moment in
// which a block of addresses is chosen and taken. A directory that is always there is locked, so that nothing is left.
func lockMachine(ctx context.Context) (fileLock, error) {
	f, err := os.Open("/run")
	if err != nil {
		return fileLock{}, fmt.Errorf("locking the machine's address range: %w", err)
	}
	return waitForLock(ctx, f, func() {})
}

func waitForLock(ctx context.Context, f *os.File, onWait func()) (fileLock, error) {
	for waited := false; ; waited = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return fileLock{f}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return fileLock{}, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if !waited {
			onWait()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return fileLock{}, fmt.Errorf("waiting for the lock on %s: %w", f.Name(), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// isLocked reports whether some process holds the lock on path.
func isLocked(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	// A shared lock: two processes that look at the same time do not see each other.
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

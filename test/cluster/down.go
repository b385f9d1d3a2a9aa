// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long the supervisor has to end its components in order; three seconds are usual.
const stopTimeout = 30 * time.Second

// Down stops the cluster and removes all that it has on the host but its data: processes, mounts, cgroups, network link
// and routes. It works on a cluster that is half up, and does nothing to one that does not run. The next Up finds the
// data again.
func (c *Cluster) Down(ctx context.Context, out io.Writer) error {
	log := newStepLog(out)
	return c.wrapDown(operate(ctx, c.dir, log, func() error { return c.down(ctx, log) }))
}

// Purge is Down, and then deletes the cluster's data and gives its addresses back.
func (c *Cluster) Purge(ctx context.Context, out io.Writer) error {
	log := newStepLog(out)
	err := operate(ctx, c.dir, log, func() error {
		if err := c.down(ctx, log); err != nil {
			return err
		}
		if err := c.deleteData(); err != nil {
			return err
		}
		log.step("deleted %s", c.dir)
		return nil
	})
	return c.wrapDown(err)
}

func (c *Cluster) wrapDown(err error) error {
	if err != nil {
		return fmt.Errorf("taking down cluster %s: %w", filepath.Base(c.dir), err)
	}
	return nil
}

func (c *Cluster) down(ctx context.Context, log *stepLog) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	if err := c.stopSupervisor(ctx, log); err != nil {
		return err
	}
	machine, err := lockMachine(ctx)
	if err != nil {
		return err
	}
	defer machine.release()
	err = c.removeLink()
	if errors.Is(err, errAddressesTaken) {
		return nil // so nothing of this cluster is left
	}
	if err != nil {
		return err
	}
	return c.removeCgroups(ctx)
}

func (c *Cluster) stopSupervisor(ctx context.Context, log *stepLog) error {
	for signal, deadline := syscall.SIGTERM, time.Now().Add(stopTimeout); ; {
		running, err := isLocked(c.supervisorLock())
		if err != nil {
			return err
		}
		if !running {
			return nil
		}
		pid, err := c.PID()
		if err != nil {
			return err
		}
		if time.Now().After(deadline) && signal == syscall.SIGTERM {
			log.step("the supervisor does not end by itself; killing it")
			signal, deadline = syscall.SIGKILL, time.Now().Add(stopTimeout)
		} else if time.Now().After(deadline) {
			return fmt.Errorf("the supervisor (process %d) does not end even when killed", pid)
		}
		// The lock was held a moment ago, so the PID is still the supervisor's.
		if pid != 0 {
			if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stopping the supervisor (process %d): %w", pid, err)
			}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// deleteData deletes the data directory. The cluster must be down: its mounts are in a namespace of its own, so there is
// nothing of the host's below the directory, and this makes sure of it.
func (c *Cluster) deleteData() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		f := strings.Fields(line)
		if len(f) > 1 && strings.HasPrefix(f[1], c.dir+"/") {
			return fmt.Errorf("not deleting %s: %s is mounted inside; unmount it first", c.dir, f[1])
		}
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("deleting the data: %w", err)
	}
	return ignoreNotExist(os.Remove(c.dir + ".lock"))
}

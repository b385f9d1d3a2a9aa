// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// readyTimeout bounds the wait for a started cluster; four seconds are usual.
const readyTimeout = 3 * time.Minute

// ErrNotRoot means that the caller lacks the permissions to create namespaces and mounts.
var ErrNotRoot = errors.New("the local Kubernetes needs root: it makes namespaces, mounts, cgroups and a network link")

// Up brings a cluster up and returns when workloads can be applied and will run. It builds the cluster's programs and
// installs packages of the distribution if they are missing, which takes minutes the first time. If the cluster runs, Up
// makes sure that it is ready; if an earlier Up was interrupted at any point, Up completes it. Data from before the last
// Down is there again. The caller needs root, and a working directory in a checkout of this repository.
func Up(ctx context.Context, options Options) (*Cluster, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNotRoot
	}
	dir, err := dataDir(options.Name)
	if err != nil {
		return nil, err
	}
	log := newStepLog(options.Log)
	programs, err := ensurePrograms(ctx, options, log)
	if err != nil {
		return nil, err
	}
	var c *Cluster
	err = operate(ctx, dir, log, func() error {
		c, err = openOrCreate(ctx, dir, options)
		if err != nil {
			return err
		}
		return c.up(ctx, options, programs, log)
	})
	if err != nil {
		return nil, fmt.Errorf("bringing up cluster %s: %w", filepath.Base(dir), err)
	}
	return c, nil
}

// ensurePrograms returns the directories of the built programs.
func ensurePrograms(ctx context.Context, options Options, log *stepLog) ([]string, error) {
	tools := []Tool{Kubernetes}
	if !options.ControlPlaneOnly {
		if err := ensurePackages(ctx, log); err != nil {
			return nil, err
		}
		tools = append(tools, CoreDNS)
	}
	var dirs []string
	for _, tool := range tools {
		begin := time.Now()
		dir, err := Build(ctx, tool, log)
		if err != nil {
			return nil, err
		}
		if took := time.Since(begin); took > 2*time.Second {
			log.step("built %s in %s", tool.Name, took.Round(time.Second))
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// openOrCreate opens the cluster in dir, or gives a new one its addresses.
func openOrCreate(ctx context.Context, dir string, options Options) (*Cluster, error) {
	c, err := openDir(dir)
	if err == nil {
		if c.ControlPlaneOnly() != options.ControlPlaneOnly {
			return nil, fmt.Errorf("it was made with control-plane-only = %t; delete its data (down --purge) to change that", c.ControlPlaneOnly())
		}
		return c, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	// Held until the choice is written, where others see it.
	machine, err := lockMachine(ctx)
	if err != nil {
		return nil, err
	}
	defer machine.release()
	others, err := List()
	if err != nil {
		return nil, err
	}
	index, err := chooseIndex(others)
	if err != nil {
		return nil, err
	}
	c = &Cluster{dir: dir, instance: instance{Name: filepath.Base(dir), Index: index, ControlPlaneOnly: options.ControlPlaneOnly}}
	return c, c.saveInstance()
}

func (c *Cluster) up(ctx context.Context, options Options, programs []string, log *stepLog) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, name := range options.Contexts {
		if name != c.Name() && !slices.Contains(c.instance.Contexts, name) {
			c.instance.Contexts = append(c.instance.Contexts, name)
		}
	}
	running, err := isLocked(c.supervisorLock())
	if err != nil {
		return err
	}
	if !running {
		c.instance.Programs = programs // a running cluster keeps the programs that it was started with
	}
	if err := errors.Join(c.saveInstance(), c.ensurePKI()); err != nil {
		return err
	}
	if err := c.writeKubeconfig(); err != nil {
		return err
	}
	if !running {
		if err := c.start(ctx, log); err != nil {
			return err
		}
	}
	if err := c.loadPauseImage(ctx); err != nil {
		return err
	}
	return c.waitUntilReady(ctx, log)
}

// start starts the supervisor of a cluster that does not run, after removing what a killed one may have left.
func (c *Cluster) start(ctx context.Context, log *stepLog) error {
	for _, dir := range []string{
		"log", "var/lib/kubelet", "var/lib/etcd", "var/lib/containerd", "var/log/pods", "var/log/containers", "audit",
	} {
		if err := os.MkdirAll(c.path(dir), 0o755); err != nil {
			return err
		}
	}
	// etcd refuses a directory that others may read.
	if err := os.Chmod(c.path("var/lib/etcd"), 0o700); err != nil {
		return err
	}
	if err := errors.Join(c.writeConfig(), c.rotateLogs(), ignoreNotExist(os.Remove(c.path("components.json")))); err != nil {
		return err
	}
	machine, err := lockMachine(ctx)
	if err != nil {
		return err
	}
	defer machine.release()
	if err := errors.Join(c.removeLink(), c.linkTaken()); err != nil {
		return err
	}
	if err := c.removeCgroups(ctx); err != nil {
		return err
	}
	if err := c.startSupervisor(); err != nil {
		return err
	}
	log.step("namespaces and network made")
	return nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// stepLog writes a line per step, with the time since its beginning. As an io.Writer it passes the output of other
// programs on.
type stepLog struct {
	mu    sync.Mutex
	out   io.Writer
	begin time.Time
}

func newStepLog(out io.Writer) *stepLog {
	if out == nil {
		out = io.Discard
	}
	return &stepLog{out: out, begin: time.Now()}
}

func (l *stepLog) step(format string, args ...any) {
	_, _ = fmt.Fprintf(l, "%6.1fs  %s\n", time.Since(l.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (l *stepLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Each cluster has one cgroup, slipwayN-NAME, at the root of every hierarchy, where N is the number of its address block:
// pods are below it, where the kubelet puts them, and the supervisor with all other processes is in its child "system".
const (
	systemCgroup = "system"
	cgroupMount  = "/sys/fs/cgroup"
)

func (c *Cluster) cgroupName() string { return fmt.Sprintf("slipway%d-%s", c.instance.Index, c.Name()) }

// cgroupHierarchy is one mounted tree of cgroups: the one of v2, or that of one v1 controller.
type cgroupHierarchy struct {
	mount string
	v2    bool
	// limits reports whether the hierarchy limits resources. Next to v1 there may be a v2 that does not: runc makes cgroups
	// there, too, and nothing else is done with it.
	limits bool
}

func cgroupHierarchies() ([]cgroupHierarchy, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var hierarchies []cgroupHierarchy
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line) // source, mount point, type, …
		if len(f) < 3 || !strings.HasPrefix(f[1], cgroupMount) || (f[2] != "cgroup" && f[2] != "cgroup2") || seen[f[1]] {
			continue
		}
		seen[f[1]] = true
		v2 := f[2] == "cgroup2"
		hierarchies = append(hierarchies, cgroupHierarchy{mount: f[1], v2: v2, limits: !v2 || f[1] == cgroupMount})
	}
	return hierarchies, nil
}

// makeCgroups makes the cluster's cgroups and moves the calling process into the one for the system.
func (c *Cluster) makeCgroups() error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	made := false
	for _, h := range hierarchies {
		if !h.limits {
			continue
		}
		made = true
		if err := c.makeCgroup(h); err != nil {
			return fmt.Errorf("making the cluster's cgroup in %s: %w", h.mount, err)
		}
	}
	if !made {
		return fmt.Errorf("no cgroup hierarchy is mounted below %s; pods need one", cgroupMount)
	}
	return nil
}

func (c *Cluster) makeCgroup(h cgroupHierarchy) error {
	own := filepath.Join(h.mount, c.cgroupName())
	system := filepath.Join(own, systemCgroup)
	for _, dir := range []string{own, system} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := inheritCPUSet(dir); err != nil {
			return err
		}
	}
	if h.v2 {
		// Children have only the controllers that each cgroup above them passes on. The root usually does already.
		for _, dir := range []string{h.mount, own} {
			if err := passControllersOn(dir); err != nil {
				return err
			}
		}
	}
	if err := os.WriteFile(filepath.Join(system, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("entering %s: %w", system, err)
	}
	return nil
}

// inheritCPUSet gives a cgroup the processors of its parent: in v1 a new one has none and accepts no process.
func inheritCPUSet(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the root of v2, whose children need nothing
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(own)) != "" || strings.TrimSpace(string(parent)) == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), parent, 0); err != nil {
			return fmt.Errorf("setting %s of cgroup %s: %w", file, dir, err)
		}
	}
	return nil
}

// passControllersOn lets the children of a v2 cgroup use its controllers.
func passControllersOn(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enabled, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(available)) {
		if slices.Contains(strings.Fields(string(enabled)), controller) {
			continue
		}
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if err != nil && slices.Contains([]string{"cpu", "cpuset", "memory", "pids"}, controller) { // what the kubelet needs
			return fmt.Errorf("passing controller %s on to the children of cgroup %s: %w", controller, dir, err)
		}
	}
	return nil
}

// removeCgroups removes the cluster's cgroups. A process that is just ending keeps its cgroup busy for a moment.
func (c *Cluster) removeCgroups(ctx context.Context) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, h := range hierarchies {
		own := filepath.Join(h.mount, c.cgroupName())
		for {
			err := removeCgroupTree(own)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("removing the cluster's cgroup: %w (a process in it that does not end? see %s/**/cgroup.procs)", err, own)
			}
			if err := sleep(ctx, 50*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeCgroupTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroupTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

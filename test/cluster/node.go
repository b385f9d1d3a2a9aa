// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// enterNode turns the calling process, alone in its new namespaces, into PID 1 of a node: a machine with the host's
// programs, but with its own host name, network, /proc, /sys, /run, /tmp and /var. What the node writes stays in the
// cluster's data directory or goes away with the namespaces.
func (c *Cluster) enterNode() error {
	// Before anything else: the new mount namespace still passes every mount on to the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separating the mounts from the host's: %w", err)
	}
	if err := unix.Sethostname([]byte(c.NodeName())); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	root, err := c.buildNodeRoot()
	if err != nil {
		return fmt.Errorf("building the node's file system: %w", err)
	}
	if err := changeRoot(root); err != nil {
		return fmt.Errorf("changing to the node's file system: %w", err)
	}
	// The kubelet wants volumes that are mounted in one container to show up in others.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts inside the node: %w", err)
	}
	return nil
}

// mount is one mount of the node's file system.
type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

// buildNodeRoot mounts the node's file system below a directory and returns that directory.
func (c *Cluster) buildNodeRoot() (string, error) {
	root := c.path("root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	// Unbindable: it lies below a directory of the host that is bound into it, and would otherwise contain itself.
	if err := mountAt("", mount{"tmpfs", root, "tmpfs", 0, "mode=0755"}); err != nil {
		return "", err
	}
	if err := unix.Mount("", root, "", unix.MS_UNBINDABLE, ""); err != nil {
		return "", fmt.Errorf("making %s unbindable: %w", root, err)
	}
	if err := bindHostDirectories(root); err != nil {
		return "", err
	}
	for _, m := range []mount{
		{"/dev", "/dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"/sys/fs/cgroup", "/sys/fs/cgroup", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{c.path("var"), "/var", "", unix.MS_BIND, ""},
		// The addresses that pods have been given; after a restart there are no pods that hold any.
		{"tmpfs", "/var/lib/cni", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	} {
		if err := mountAt(root, m); err != nil {
			return "", err
		}
	}
	// These are there already, unless they lie below a directory that the node has its own of.
	for _, dir := range append([]string{c.dir}, c.instance.Programs...) {
		if sameFile(dir, root+dir) {
			continue
		}
		if err := mountAt(root, mount{dir, dir, "", unix.MS_BIND | unix.MS_REC, ""}); err != nil {
			return "", err
		}
	}
	return root, c.maskKernelParameters(root)
}

// bindHostDirectories shows the host's top-level directories to the node, but for those that it has its own of.
func bindHostDirectories(root string) error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := "/" + e.Name()
		switch e.Name() {
		case "dev", "proc", "sys", "run", "tmp", "var":
			continue
		}
		switch {
		case e.IsDir():
			if err := mountAt(root, mount{path, path, "", unix.MS_BIND | unix.MS_REC, ""}); err != nil {
				return err
			}
		case e.Type()&os.ModeSymlink != 0: // /bin → usr/bin
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, root+path); err != nil {
				return err
			}
		}
	}
	return nil
}

// maskKernelParameters puts files over the kernel parameters that the kubelet insists on setting. They are the whole
// machine's, not a namespace's, so the kubelet is shown that they have its values already.
func (c *Cluster) maskKernelParameters(root string) error {
	for parameter, value := range map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	} {
		target := filepath.Join("/proc/sys", parameter)
		if _, err := os.Stat(root + target); err != nil {
			continue
		}
		file := filepath.Join("/run/kernel-parameters", strings.ReplaceAll(parameter, "/", "."))
		if err := os.MkdirAll(filepath.Dir(root+file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(root+file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(root+file, root+target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("masking %s: %w", target, err)
		}
	}
	return nil
}

// changeRoot makes dir the root of every process in the mount namespace and detaches the old one.
func changeRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	// With the same directory twice, the old root ends up mounted over the new one, from where it is unmounted.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of the old root: %w", err)
	}
	return os.Chdir("/")
}

// mountAt mounts m below root and makes its mount point.
func mountAt(root string, m mount) error {
	target := root + m.target
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", m.source, m.target, err)
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

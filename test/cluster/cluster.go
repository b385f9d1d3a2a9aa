// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package cluster runs a real Kubernetes on one Linux machine: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kubelet, kube-proxy and CoreDNS built from their Go modules, with containerd, runc and the CNI plugins
// of the distribution. All of it lives in network, mount, PID, IPC and UTS namespaces of its own below one supervisor, so
// that ending one process ends the cluster and the host stays as it was. See README.md for how it works.
//
// A program that imports this package is also the supervisor: Up starts the running executable again inside the new
// namespaces, and the package's init function takes over there.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/test/cache"
)

// DefaultName is the name of the cluster that is meant when none is given.
const DefaultName = "slipway"

// Options are which cluster Up starts, and how. The zero value is the complete default cluster.
type Options struct {
	// Name identifies the cluster on its machine: lower-case letters, digits and dashes, at most 32 characters, beginning and
	// ending with a letter or digit. Default DefaultName.
	Name string
	// Contexts are names of further contexts in the kubeconfig. All lead to this cluster as its administrator. They are
	// added to the contexts of earlier calls.
	Contexts []string
	// ControlPlaneOnly leaves out everything that runs pods: there are only etcd, kube-apiserver and
	// kube-controller-manager. A cluster keeps this choice until its data is deleted.
	ControlPlaneOnly bool
	// Log receives a line for each step, with the seconds since the call. Default: nothing is written.
	Log io.Writer
}

// Cluster is one named cluster of this machine, running or not.
type Cluster struct {
	dir      string // absolute path of its data
	instance instance
}

// instance is what a cluster remembers between calls, in instance.json. The supervisor reads it too.
type instance struct {
	Name             string   `json:"name"`
	Index            int      `json:"index"` // which block of addresses is its own; see addresses
	ControlPlaneOnly bool     `json:"control_plane_only"`
	Contexts         []string `json:"contexts,omitempty"`
	Programs         []string `json:"programs,omitempty"` // directories of built programs, in PATH order
}

// ErrNotFound means that a cluster of that name was never started, or that its data was deleted.
var ErrNotFound = errors.New("no such cluster")

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// CacheDir is where built programs and the data of clusters are kept; see cache.Dir.
func CacheDir() (string, error) { return cache.Dir() }

// Open returns the cluster called name (default DefaultName), whether it runs or not. The error is ErrNotFound when it
// has no data on this machine.
func Open(name string) (*Cluster, error) {
	dir, err := dataDir(name)
	if err != nil {
		return nil, err
	}
	return openDir(dir)
}

// List returns the clusters that have data on this machine, sorted by name.
func List() ([]*Cluster, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(cache, "clusters"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	var clusters []*Cluster
	for _, e := range entries {
		if !e.IsDir() {
			continue // a lock
		}
		c, err := openDir(filepath.Join(cache, "clusters", e.Name()))
		if errors.Is(err, ErrNotFound) {
			continue // its first `up` ended before it had an address
		}
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, c)
	}
	return clusters, nil
}

func dataDir(name string) (string, error) {
	if name == "" {
		name = DefaultName
	}
	if !validName.MatchString(name) {
		return "", fmt.Errorf("cluster name %q: use at most 32 lower-case letters, digits and dashes, with a letter or digit first and last",
			name)
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "clusters", name), nil
}

func openDir(dir string) (*Cluster, error) {
	c := &Cluster{dir: dir}
	data, err := os.ReadFile(c.path("instance.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s (bring it up first)", ErrNotFound, filepath.Base(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("opening cluster %s: %w", filepath.Base(dir), err)
	}
	if err := json.Unmarshal(data, &c.instance); err != nil {
		return nil, fmt.Errorf("opening cluster %s: %s: %w", filepath.Base(dir), c.path("instance.json"), err)
	}
	return c, nil
}

func (c *Cluster) saveInstance() error {
	data, err := json.MarshalIndent(c.instance, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomically(c.path("instance.json"), append(data, '\n'), 0o644)
}

// Name of the cluster.
func (c *Cluster) Name() string { return c.instance.Name }

// Dir is the directory that holds all data of the cluster.
func (c *Cluster) Dir() string { return c.dir }

// Kubeconfig is the path of the administrator's kubeconfig. Its current context is named like the cluster.
func (c *Cluster) Kubeconfig() string { return c.path("kubeconfig") }

// Programs are the directories that hold kubectl and the cluster's other programs, in PATH order.
func (c *Cluster) Programs() []string { return slices.Clone(c.instance.Programs) }

// ControlPlaneOnly reports whether the cluster has no node, so that pods stay Pending.
func (c *Cluster) ControlPlaneOnly() bool { return c.instance.ControlPlaneOnly }

// PID is the process ID of the supervisor, seen from the host, or 0 when the cluster does not run.
func (c *Cluster) PID() (int, error) {
	alive, err := isLocked(c.supervisorLock())
	if err != nil || !alive {
		return 0, err
	}
	data, err := os.ReadFile(c.supervisorLock())
	if err != nil {
		return 0, err
	}
	// Empty between the moment `up` takes the lock and the moment it knows the PID.
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, nil //nolint:nilerr // not running yet
	}
	return pid, nil
}

func (c *Cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *Cluster) supervisorLock() string { return c.path("supervisor.lock") }

// operate runs fn while no other `up` or `down` of the same cluster runs, on this machine.
func operate(ctx context.Context, dir string, log *stepLog, fn func() error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Next to the directory, not in it: purging the directory must not remove the lock that protects the purge.
	lock, err := lockFile(ctx, dir+".lock", func() { log.step("waiting for another command on this cluster to end") })
	if err != nil {
		return err
	}
	defer lock.release()
	return fn()
}

func writeFileAtomically(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // fails once it is renamed, as it should
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

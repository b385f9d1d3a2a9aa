// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"text/template"

	"golang.org/x/sys/unix"
)

//go:embed config
var configFiles embed.FS

// configValues are what the templates in config/ may use.
type configValues struct {
	addresses
	Name, NodeName, Server string
	Dir                    string // the cluster's data
	PauseImage             string
	Snapshotter            string // how containerd makes the file systems of containers
	Cgroup                 string
	CNIPlugins             string
	ContainerdSocket       string
	DNSUser                string
}

// writeConfig renders the configuration of every component into etc/ of the cluster's data.
func (c *Cluster) writeConfig() error {
	snapshotter, err := snapshotterFor(c.path("var"))
	if err != nil {
		return err
	}
	values := configValues{
		addresses: c.addresses(), Name: c.Name(), NodeName: c.NodeName(), Server: c.Server(), Dir: c.dir,
		PauseImage: pauseImage, Snapshotter: snapshotter, Cgroup: "/" + c.cgroupName(), CNIPlugins: cniPlugins,
		ContainerdSocket: containerdSocket, DNSUser: dnsUser,
	}
	templates, err := template.New("").Option("missingkey=error").ParseFS(configFiles, "config/*")
	if err != nil {
		return fmt.Errorf("reading the configuration templates: %w", err)
	}
	for _, t := range templates.Templates() {
		if t.Name() == "" {
			continue
		}
		var out bytes.Buffer
		if err := t.Execute(&out, values); err != nil {
			return fmt.Errorf("rendering %s: %w", t.Name(), err)
		}
		target := c.path("etc", t.Name())
		if path.Ext(t.Name()) == ".conflist" { // containerd reads a whole directory of these
			target = c.path("etc", "cni", t.Name())
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := writeFileAtomically(target, out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// snapshotterFor returns the snapshotter that works on the file system of dir: overlayfs, or, where dir is on an overlay
// itself as in most containers, the one that copies.
func snapshotterFor(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("reading the type of the file system of %s: %w", dir, err)
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native", nil
	}
	return "overlayfs", nil
}

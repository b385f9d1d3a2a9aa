// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// distributionPackages are what the node takes from the distribution, and the file that shows that a package is there.
var distributionPackages = []struct{ name, program string }{
	{"containerd", "containerd"},
	{"containerd", "ctr"},
	{"runc", "runc"},
	{"containernetworking-plugins", cniPlugins + "/ptp"},
	{"containernetworking-plugins", cniPlugins + "/host-local"},
	{"nftables", "nft"},        // kube-proxy
	{"conntrack", "conntrack"}, // kube-proxy
}

const (
	cniPlugins = "/usr/lib/cni"
	systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// ensurePackages installs the packages that are missing, with apt-get.
func ensurePackages(ctx context.Context, log *stepLog) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("programs of the packages %s are missing, and there is no apt-get to install them with; install them (CNI "+
			"plugins belong in %s) and repeat",
			strings.Join(missing, ", "), cniPlugins)
	}
	log.step("installing packages: %s", strings.Join(missing, " "))
	// An earlier installation may have been killed halfway, and apt-get refuses to do anything before that is finished.
	if err := runPackageTool(ctx, "dpkg", "--configure", "-a"); err != nil {
		return err
	}
	install := append([]string{"-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends"}, missing...)
	if err := runPackageTool(ctx, "apt-get", install...); err != nil {
		// The list of packages may be missing or old.
		if err := runPackageTool(ctx, "apt-get", "-o", "DPkg::Lock::Timeout=300", "update"); err != nil {
			return err
		}
		if err := runPackageTool(ctx, "apt-get", install...); err != nil {
			return err
		}
	}
	if missing := missingPackages(); len(missing) > 0 {
		return fmt.Errorf("the packages %s were installed, but what the cluster needs of them is not there", strings.Join(missing, ", "))
	}
	return nil
}

func missingPackages() []string {
	var missing []string
	for _, p := range distributionPackages {
		if _, err := lookPath(p.program); err != nil && !slices.Contains(missing, p.name) {
			missing = append(missing, p.name)
		}
	}
	return missing
}

// lookPath finds a program as the supervisor will, whose PATH has the sbin directories.
func lookPath(program string, dirs ...string) (string, error) {
	if strings.Contains(program, "/") {
		return exec.LookPath(program)
	}
	for _, dir := range append(dirs, strings.Split(systemPath, ":")...) {
		if path, err := exec.LookPath(dir + "/" + program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
}

func runPackageTool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err), errors.New(lastLines(out.String(), 10)))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

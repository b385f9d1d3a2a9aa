// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package debian takes programs out of packages of the distribution without installing them: nothing of the host is
// changed, no service is started, and root is not needed.
package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-dev/terraform-provider-slipway/test/cache"
)

// ErrUnavailable means that this machine has no apt-get and dpkg.
var ErrUnavailable = errors.New("this machine has no apt-get and dpkg")

// Unpack returns a directory with the files of a package as below /. It is fetched the first time and
// kept in the cache; packages that it depends on are not in it. Whole packages only ever appear under the returned name.
func Unpack(ctx context.Context, name string) (string, error) {
	dir, err := unpack(ctx, name)
	if err != nil {
		return "", fmt.Errorf("unpacking the package %s: %w", name, err)
	}
	return dir, nil
}

func unpack(ctx context.Context, name string) (string, error) {
	release, err := distribution("/etc/os-release")
	if err != nil {
		return "", err
	}
	base, err := cache.Dir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(base, "debian", release+"-"+runtime.GOARCH)
	dir := filepath.Join(parent, name)
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	for _, program := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(parent, "."+name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }() // leftovers are useless and harmless
	if err := download(ctx, work, name); err != nil {
		return "", err
	}
	archives, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(archives) != 1 {
		return "", errors.Join(err, fmt.Errorf("apt-get left %d archives, one was expected", len(archives)))
	}
	files := filepath.Join(work, "files")
	if err := run(ctx, work, "dpkg", "--extract", archives[0], files); err != nil {
		return "", err
	}
	// Another process may have been quicker; what it made is the same.
	if err := os.Rename(files, dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return "", err
	}
	return dir, nil
}

// download fetches the package's archive into dir.
func download(ctx context.Context, dir, name string) error {
	first := run(ctx, dir, "apt-get", "download", name)
	if first == nil {
		return nil
	}
	// The list of packages may be missing or old. Only root can renew it.
	if os.Geteuid() != 0 {
		return first
	}
	if err := run(ctx, dir, "apt-get", "-o", "DPkg::Lock::Timeout=300", "update"); err != nil {
		return errors.Join(first, err)
	}
	return run(ctx, dir, "apt-get", "download", name)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// distribution is a name for the release of the distribution, such as debian-12.
func distribution(osRelease string) (string, error) {
	data, err := os.ReadFile(osRelease)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: there is no %s", ErrUnavailable, osRelease)
	}
	if err != nil {
		return "", err
	}
	fields := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), "="); found {
			fields[key] = strings.Trim(value, `"'`)
		}
	}
	name := fields["ID"]
	if version := fields["VERSION_ID"]; version != "" {
		name += "-" + version
	}
	if name == "" || strings.ContainsAny(name, "/ ") {
		return "", fmt.Errorf("%s does not name the distribution", osRelease)
	}
	return name, nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A Tool is a set of programs that is built from one nested module, tools/NAME, of this repository.
type Tool struct {
	Name     string
	packages []string          // what to build; "." is the module's own main package
	flags    []string          // of `go build`, in addition to buildFlags
	rename   map[string]string // file that `go build` makes → name of the program
	links    map[string]string // further name → program
	ldflags  func(ctx context.Context, dir string) (string, error)
}

var (
	// Kubernetes is every Kubernetes program of the cluster, kubectl, etcd and the binary of the pause image.
	Kubernetes = Tool{
		Name:     "kubernetes",
		packages: []string{".", "./pause", "go.etcd.io/etcd/server/v3"},
		rename:   map[string]string{"server": "etcd"},
		links: map[string]string{
			"kube-apiserver": "kubernetes", "kube-controller-manager": "kubernetes", "kube-scheduler": "kubernetes",
			"kube-proxy": "kubernetes", "kubelet": "kubernetes", "kubectl": "kubernetes",
		},
		ldflags: kubernetesVersionFlags,
	}
	// CoreDNS is a module of its own because it needs other versions of what it shares with Kubernetes.
	CoreDNS = Tool{Name: "coredns", packages: []string{"."}}
	// OpenTofu is the program tofu.
	OpenTofu = Tool{
		Name:     "opentofu",
		packages: []string{"github.com/opentofu/opentofu/cmd/tofu"},
		ldflags: func(context.Context, string) (string, error) {
			return "-X github.com/opentofu/opentofu/version.dev=no", nil // a release, not a -dev version
		},
	}
	// Istio is the program pilot-discovery, Istio's control plane, which is better known as istiod.
	// The tags are those of Istio's own releases; they leave out much generated code that nothing calls.
	Istio = Tool{
		Name:     "istio",
		packages: []string{"istio.io/istio/pilot/cmd/pilot-discovery"},
		flags:    []string{"-tags=vtprotobuf,disable_pgv"},
	}
	// Tools are all of them.
	Tools = []Tool{Kubernetes, CoreDNS, OpenTofu, Istio}
)

// buildFlags make the result independent of where the checkout is, and the programs static.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-mod=readonly"}

// Build returns the directory that holds the tool's programs, and builds them first if they are not in the cache. It must
// be called from within a checkout of this repository; go's own messages go to out. Only one build of a tool runs at a
// time, in whichever process. A program is rebuilt when its module files, its source or the Go version change.
func Build(ctx context.Context, tool Tool, out io.Writer) (string, error) {
	dir, err := buildTool(ctx, tool, out)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", tool.Name, err)
	}
	return dir, nil
}

func buildTool(ctx context.Context, tool Tool, out io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	root, err := checkoutRoot()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "tools", tool.Name)
	key, err := buildKey(ctx, tool, source)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "bin")
	result := filepath.Join(bin, tool.Name+"-"+key)
	if _, err := os.Stat(result); err == nil {
		return result, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	lock, err := lockFile(ctx, filepath.Join(bin, tool.Name+".lock"), func() {
		_, _ = fmt.Fprintf(out, "waiting for another build of %s to end\n", tool.Name)
	})
	if err != nil {
		return "", err
	}
	defer lock.release()
	if _, err := os.Stat(result); err == nil {
		return result, nil // the other build made it
	}
	return result, buildInto(ctx, tool, source, result, lock, out)
}

// buildInto builds into a temporary directory that becomes result at the end, so that a result is always whole. The lock
// of the build must be held.
func buildInto(ctx context.Context, tool Tool, source, result string, lock fileLock, out io.Writer) error {
	pattern := filepath.Join(filepath.Dir(result), "."+tool.Name+"-*")
	leftovers, err := filepath.Glob(pattern) // of builds that were killed
	if err != nil {
		return err
	}
	for _, dir := range leftovers {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(filepath.Dir(pattern), filepath.Base(pattern))
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	ldflags := "-s -w"
	if tool.ldflags != nil {
		more, err := tool.ldflags(ctx, source)
		if err != nil {
			return err
		}
		ldflags += " " + more
	}
	args := slices.Concat([]string{"build"}, buildFlags, tool.flags, []string{"-ldflags", ldflags, "-o", tmp + "/"}, tool.packages)
	build := goCommand(ctx, source, args...)
	build.Stdout, build.Stderr = out, out
	// If this process is killed, the compilers continue for a while and hold the lock until they are done, so that the next
	// build does not compete with them for the machine.
	build.ExtraFiles = []*os.File{lock.file}
	if err := build.Run(); err != nil {
		return fmt.Errorf("go %s in %s: %w", strings.Join(args, " "), source, err)
	}
	for from, to := range tool.rename {
		if err := os.Rename(filepath.Join(tmp, from), filepath.Join(tmp, to)); err != nil {
			return err
		}
	}
	for name, target := range tool.links {
		if err := os.Symlink(target, filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, result)
}

// buildKey is a hash of everything that decides what the programs are.
func buildKey(ctx context.Context, tool Tool, source string) (string, error) {
	h := sha256.New()
	goVersion, err := goOutput(ctx, source, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintln(h, goVersion, runtime.GOOS, runtime.GOARCH, slices.Concat(buildFlags, tool.flags), tool.packages, tool.rename)
	err = filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil || d.IsDir() || (name != "go.mod" && name != "go.sum" && filepath.Ext(name) != ".go") {
			return err
		}
		data, err := os.ReadFile(path)
		_, _ = fmt.Fprintln(h, strings.TrimPrefix(path, source), len(data))
		_, _ = h.Write(data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:12], err
}

// kubernetesVersionFlags set the version of Kubernetes in the programs; without them the API server is
// v0.0.0 to its clients.
func kubernetesVersionFlags(ctx context.Context, source string) (string, error) {
	data, err := goOutput(ctx, source, "list", "-m", "-json", "k8s.io/kubernetes")
	if err != nil {
		return "", err
	}
	var module struct{ Version, Time string }
	if err := json.Unmarshal([]byte(data), &module); err != nil {
		return "", fmt.Errorf("version of k8s.io/kubernetes: %w", err)
	}
	parts := strings.SplitN(strings.TrimPrefix(module.Version, "v"), ".", 3)
	if len(parts) != 3 {
		return "", fmt.Errorf("version of k8s.io/kubernetes: cannot understand %q", module.Version)
	}
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, value := range []string{
			"gitVersion=" + module.Version, "gitMajor=" + parts[0], "gitMinor=" + parts[1], "buildDate=" + module.Time,
		} {
			flags = append(flags, "-X", pkg+"."+value)
		}
	}
	return strings.Join(flags, " "), nil
}

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// The nested modules are built separately, regardless of the caller's workspace or flags.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	return cmd
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := goCommand(ctx, dir, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

const modulePath = "github.com/slipway-dev/terraform-provider-slipway"

// checkoutRoot finds the root of the checkout that the working directory is in.
func checkoutRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module "+modulePath+"\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a checkout of %s, whose tools directory is needed", start, modulePath)
		}
	}
}

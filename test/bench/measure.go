// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

// row is what one number of releases costs.
type row struct {
	releases int
	baseline cost // plan of as many terraform_data
	plan     cost
	memory   uint64 // bytes
	requests int
}

// cost is the time of one plan: on the wall, and of all processors together.
type cost struct {
	wall, cpu time.Duration
}

// benchmark has what all measurements share.
type benchmark struct {
	cluster   *cluster.Cluster
	terraform string
	version   string // of terraform, for people
	provider  string // path of the provider's program
	env       []string
	dir       string // holds one root module in each directory
}

// newBenchmark builds the provider and sets up three root modules: the environments, the releases in them, and the
// terraform_data resources to compare with.
func newBenchmark(ctx context.Context, c *cluster.Cluster, dir string) (*benchmark, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	b := &benchmark{cluster: c, dir: dir}
	if b.terraform, err = terraformPath(ctx, root); err != nil {
		return nil, err
	}
	mirror := filepath.Join(dir, "mirror")
	installed, err := exec.CommandContext(ctx, filepath.Join(root, "test", "install.sh"), "0.1.0", mirror).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("building the provider: %w\n%s", err, installed)
	}
	b.provider = mirror

	config := filepath.Join(dir, "terraformrc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	b.env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TF_") })
	b.env = append(b.env, "TF_CLI_CONFIG_FILE="+config, "TF_CLI_ARGS=-no-color", "CHECKPOINT_DISABLE=1", "KUBECONFIG="+c.Kubeconfig())

	version, err := exec.CommandContext(ctx, b.terraform, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", b.terraform, err)
	}
	b.version, _, _ = strings.Cut(string(version), "\n")

	chart := filepath.Join(root, "test", "bench", "chart")
	for name, text := range map[string]string{
		"environments": environmentsModule,
		"releases":     strings.ReplaceAll(releasesModule, "CHART", chart),
		"baseline":     baselineModule,
	} {
		module := filepath.Join(dir, name)
		if err := os.Mkdir(module, 0o755); err != nil {
			return nil, err
		}
		text = strings.ReplaceAll(text, "CONTEXT", c.Name())
		if err := os.WriteFile(filepath.Join(module, "main.tf"), []byte(text), 0o644); err != nil {
			return nil, err
		}
		if _, err := b.run(ctx, name, "init", "-input=false"); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// measure installs n releases in as many namespaces and plans them again.
func (b *benchmark) measure(ctx context.Context, n, runs int) (row, error) {
	r := row{releases: n}
	count := fmt.Sprintf("-var=releases=%d", n)
	for _, module := range []string{"environments", "releases", "baseline"} {
		apply, err := b.run(ctx, module, "apply", "-auto-approve", count)
		if err != nil {
			return r, err
		}
		fmt.Fprintf(os.Stderr, "%d %s: applied in %.1f s\n", n, module, apply.wall.Seconds())
	}

	var baselines, plans []cost
	for range runs {
		// Alternating, so that a busy moment of the machine hits both.
		baseline, _, err := b.plan(ctx, "baseline", count)
		if err != nil {
			return r, err
		}
		baselines = append(baselines, baseline)

		since := time.Now()
		plan, memory, err := b.plan(ctx, "releases", count)
		if err != nil {
			return r, err
		}
		plans = append(plans, plan)
		r.memory = max(r.memory, memory)
		if r.requests, err = b.requests(ctx, since); err != nil {
			return r, err
		}
	}
	r.baseline, r.plan = median(baselines), median(plans)
	return r, nil
}

// plan takes the time of a plan that must have nothing to change, and the memory that the provider used meanwhile.
func (b *benchmark) plan(ctx context.Context, module string, args ...string) (cost, uint64, error) {
	watch := watchMemory(b.provider)
	c, err := b.run(ctx, module, append([]string{"plan", "-detailed-exitcode"}, args...)...)
	return c, watch.stop(), err
}

// requests counts what the provider asked of the API server since a moment.
func (b *benchmark) requests(ctx context.Context, since time.Time) (int, error) {
	// The API server writes its log a moment after it has answered.
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(500 * time.Millisecond):
	}
	events, err := b.cluster.AuditEvents(since)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range events {
		if strings.HasPrefix(e.UserAgent, "terraform-provider-slipway") {
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("the API server saw no request of the provider, but %d others", len(events))
	}
	return n, nil
}

func (b *benchmark) run(ctx context.Context, module string, args ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, b.terraform, args...)
	cmd.Dir = filepath.Join(b.dir, module)
	cmd.Env = b.env
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// One interrupt, from here, and not the terminal's as well: at the second Terraform stops at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s %s of the %s: %w\n%s", filepath.Base(b.terraform), args[0], module, err, output.String())
	}
	// The times of the provider, which Terraform waited for, are in Terraform's.
	return cost{time.Since(begin), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// median is that of the wall times, and that of the processor times.
func median(costs []cost) cost {
	middle := func(value func(cost) time.Duration) time.Duration {
		var all []time.Duration
		for _, c := range costs {
			all = append(all, value(c))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{middle(func(c cost) time.Duration { return c.wall }), middle(func(c cost) time.Duration { return c.cpu })}
}

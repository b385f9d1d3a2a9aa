// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command bench measures what a plan of many releases costs when nothing changes: wall time next to the same plan of as
// many terraform_data resources, peak memory of the provider's process, and requests to the API server. It runs on a local
// Kubernetes of its own without a node, on which releases of eight objects and no pod are installed first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

func main() {
	sizes := flag.String("releases", "20,60,200", "how many releases to measure with, ascending")
	runs := flag.Int("runs", 5, "how many plans to take the median of")
	keep := flag.Bool("keep", false, "leave the cluster running")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, *sizes, *runs, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const clusterName = "slipway-bench"

func bench(ctx context.Context, sizes string, runs int, keep bool) (err error) {
	counts, err := parseCounts(sizes)
	if err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.Options{Name: clusterName, ControlPlaneOnly: true, Log: os.Stderr})
	if err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, c.Purge(context.WithoutCancel(ctx), os.Stderr)) }()
	}
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b, err := newBenchmark(ctx, c, dir)
	if err != nil {
		return err
	}
	var rows []row
	for _, n := range counts {
		r, err := b.measure(ctx, n, runs)
		if err != nil {
			return fmt.Errorf("with %d releases: %w", n, err)
		}
		rows = append(rows, r)
	}
	return printRows(rows, runs, b.version)
}

func parseCounts(text string) ([]int, error) {
	var counts []int
	for _, field := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("--releases: %q is not a number of releases", field)
		}
		counts = append(counts, n)
	}
	return counts, nil
}

func printRows(rows []row, runs int, version string) error {
	fmt.Printf("\nPlans without changes, median of %d, %s\n\n", runs, version)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "releases\tterraform_data\tslipway\tratio\tCPU\tprovider memory\trequests\tper release\t")
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%d\t%.2f s\t%.2f s\t%.1f\t%.2f s / %.2f s\t%.0f MiB\t%d\t%.2f\t\n",
			r.releases, r.baseline.wall.Seconds(), r.plan.wall.Seconds(), r.plan.wall.Seconds()/r.baseline.wall.Seconds(),
			r.baseline.cpu.Seconds(), r.plan.cpu.Seconds(),
			float64(r.memory)/(1<<20), r.requests, float64(r.requests)/float64(r.releases))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println("\nCPU is the processor time of Terraform and its plugins, of terraform_data / slipway. Memory is the largest " +
		"resident set of a provider process. Requests are those of one plan that the API server audited.")
	return nil
}

// terraformPath is terraform, or an OpenTofu that is built where there is none.
func terraformPath(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "test", "terraform.sh"), "--path")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding terraform, or building OpenTofu: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

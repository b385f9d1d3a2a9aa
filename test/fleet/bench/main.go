// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command bench measures what it costs to generate the values of fleets of different sizes: from nothing, again, and after one file
// of one client has changed. For comparison, it measures only parsing and writing the same YAML with the library that Helm uses, only
// to read the same files, and to render the chart once per environment as `helm template` does.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	sizes := flag.String("clients", "24,200,2000", "how many clients of three stages to measure with")
	runs := flag.Int("runs", 5, "how many runs to take the median of")
	baseline := flag.String("baseline", "", "measure a baseline in this process: parse-and-write, or read (used by the command itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *baseline != "" {
		err = printBaseline(*baseline, flag.Arg(0))
	} else {
		err = bench(ctx, *sizes, *runs)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func bench(ctx context.Context, sizes string, runs int) (err error) {
	work, err := os.MkdirTemp("", "slipway-fleet-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	program := filepath.Join(work, "slipway")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/slipway")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the command: %w", err)
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer func() { err = errors.Join(err, out.Flush()) }()
	_, _ = fmt.Fprintln(out, "environments\tparse+write\tcold\tratio\tCPU ratio\tmemory\tagain, no cache\tno change\tone "+
		"file\tonly reading\tCPU: one file\tonly reading\thelm template\t")
	for size := range strings.SplitSeq(sizes, ",") {
		clients, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		b := benchmark{ctx: ctx, program: program, root: root, dir: filepath.Join(work, size), runs: runs, clients: clients}
		if err := b.measure(out); err != nil {
			return fmt.Errorf("with %d clients: %w", clients, err)
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// settling is how long files must be unchanged until the command trusts their times.
const settling = 2500 * time.Millisecond

type benchmark struct {
	ctx                context.Context
	program, root, dir string
	runs, clients      int
}

// cost of a process.
type cost struct {
	wall, cpu time.Duration
	memory    int64 // bytes, at its highest
}

func (b *benchmark) measure(out *tabwriter.Writer) error {
	if err := makeFleet(b.root, filepath.Join(b.dir, "clients"), b.clients); err != nil {
		return err
	}
	tree := filepath.Join(b.dir, "environments")
	cold, err := b.median(func(int) (cost, error) {
		if err := os.RemoveAll(tree); err != nil {
			return cost{}, err
		}
		return b.run(b.program, "generate", "--no-cache")
	})
	if err != nil {
		return err
	}
	again, err := b.median(func(int) (cost, error) { return b.run(b.program, "generate", "--no-cache") })
	if err != nil {
		return err
	}
	// Fills the cache. What was written a moment ago is read once more by the run after that, as it is in everybody's work.
	for range 2 {
		if _, err := b.run(b.program, "generate"); err != nil {
			return err
		}
		time.Sleep(settling)
	}
	same, err := b.median(func(int) (cost, error) { return b.run(b.program, "generate") })
	if err != nil {
		return err
	}
	one, err := b.median(func(i int) (cost, error) {
		file := filepath.Join(b.dir, "clients", clientName(b.clients/2), "values-prod.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "autoscaling:\n  maxReplicas: %d\n", 30+i), 0o644); err != nil {
			return cost{}, err
		}
		return b.run(b.program, "generate")
	})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	floor, err := b.median(func(int) (cost, error) { return b.baseline(self, "parse-and-write") })
	if err != nil {
		return err
	}
	reading, err := b.median(func(int) (cost, error) { return b.baseline(self, "read") })
	if err != nil {
		return err
	}
	rendering, err := helmTemplate(filepath.Join(b.root, chartPath), tree, 72)
	if err != nil {
		return err
	}
	environments := b.clients * 3
	_, _ = fmt.Fprintf(out, "%d\t%s\t%s\t%.2f\t%.2f\t%d MB\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", environments, ms(floor.wall), ms(cold.wall),
		float64(cold.wall)/float64(floor.wall), float64(cold.cpu)/float64(floor.cpu), cold.memory>>20, ms(again.wall), ms(same.wall),
		ms(one.wall),
		ms(reading.wall), ms(one.cpu), ms(reading.cpu), ms(rendering*time.Duration(environments)))
	return nil
}

func ms(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

func (b *benchmark) median(do func(run int) (cost, error)) (cost, error) {
	var costs []cost
	for i := range b.runs {
		c, err := do(i)
		if err != nil {
			return cost{}, err
		}
		costs = append(costs, c)
	}
	slices.SortFunc(costs, func(a, c cost) int { return cmp.Compare(a.wall, c.wall) })
	return costs[len(costs)/2], nil
}

// run measures a whole process.
func (b *benchmark) run(program string, arguments ...string) (cost, error) {
	command := exec.CommandContext(b.ctx, program, arguments...)
	command.Dir = b.dir
	command.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(b.dir, "cache"))
	started := time.Now()
	if text, err := command.CombinedOutput(); err != nil {
		return cost{}, fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(arguments, " "), err, text)
	}
	out := cost{wall: time.Since(started), cpu: command.ProcessState.UserTime() + command.ProcessState.SystemTime()}
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		out.memory = usage.Maxrss << 10
	}
	return out, nil
}

// baseline measures in a process of its own, so that the preparation does not count.
func (b *benchmark) baseline(self, kind string) (cost, error) {
	command := exec.CommandContext(b.ctx, self, "-baseline", kind, b.dir)
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return cost{}, err
	}
	var nanoseconds struct{ Wall, CPU int64 }
	if err := json.Unmarshal(text, &nanoseconds); err != nil {
		return cost{}, err
	}
	return cost{wall: time.Duration(nanoseconds.Wall), cpu: time.Duration(nanoseconds.CPU)}, nil
}

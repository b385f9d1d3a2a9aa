// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command lintreport prints how well the migration linter distinguishes the unsafe from the safe files of a labeled corpus, by
// default the project's own.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint/corpus"
)

const own = "internal/migration/lint/testdata/corpus"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lintreport:", err)
		os.Exit(1)
	}
}

// run takes nothing, the directory of a corpus, or "bench".
func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 0:
		return report(ctx, own, out)
	case args[0] == "bench":
		return bench(ctx, out)
	case args[0] == "bench-one" && len(args) == 2:
		files, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return benchOne(ctx, files, out)
	}
	return report(ctx, args[0], out)
}

// tally counts correct, wrong and missing findings.
type tally struct{ right, wrong, missed int }

func (t tally) precision() string { return percent(t.right, t.right+t.wrong) }
func (t tally) recall() string    { return percent(t.right, t.right+t.missed) }

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

func report(ctx context.Context, dir string, out io.Writer) error {
	cases, err := corpus.Read(os.DirFS(dir))
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		return fmt.Errorf("there are no labeled files in %s", dir)
	}
	byRule := map[string]*tally{}
	of := func(rule string) *tally {
		if byRule[rule] == nil {
			byRule[rule] = &tally{}
		}
		return byRule[rule]
	}
	var verdicts tally
	var files, safe, unsafe int
	var wrong []string
	for _, c := range cases {
		result, err := lint.Lint(ctx, c.History, c.Pending, c.Options)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		files += c.Files()
		reported := rules(result.Errors())
		switch {
		case c.Unsafe && len(reported) > 0:
			verdicts.right++
		case c.Unsafe:
			verdicts.missed++
			wrong = append(wrong, c.Name+": missed")
		case len(reported) > 0:
			verdicts.wrong++
			wrong = append(wrong, c.Name+": false alarm")
		}
		if c.Unsafe {
			unsafe++
		} else {
			safe++
		}
		reported = append(reported, rules(result.Warnings())...)
		expected := append(slices.Clone(c.Errors), c.Warnings...)
		for _, rule := range reported {
			if slices.Contains(expected, rule) {
				of(rule).right++
			} else {
				of(rule).wrong++
			}
		}
		for _, rule := range expected {
			if !slices.Contains(reported, rule) {
				of(rule).missed++
			}
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	lines := []string{"rule\tclass\tright\tfalse\tmissed\tprecision\trecall"}
	for _, rule := range lint.Rules() {
		t := of(rule.ID)
		lines = append(lines,
			fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%s\t%s", rule.ID, rule.Class, t.right, t.wrong, t.missed, t.precision(), t.recall()))
	}
	if _, err := fmt.Fprintln(table, strings.Join(lines, "\n")); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%d files in %d cases, %d unsafe and %d safe: precision %s, recall %s\n",
		files, len(cases), unsafe, safe, verdicts.precision(), verdicts.recall())
	for _, line := range wrong {
		if err == nil {
			_, err = fmt.Fprintln(out, line)
		}
	}
	return err
}

func rules(findings []lint.Finding) []string {
	var names []string
	for _, finding := range findings {
		if !slices.Contains(names, finding.Rule) {
			names = append(names, finding.Rule)
		}
	}
	return names
}

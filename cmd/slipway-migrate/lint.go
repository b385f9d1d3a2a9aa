// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

const lintUsage = `usage: slipway-migrate lint [options] DIR|FILE... [options]

Analyzes the SQL migrations of the directories and the files, as one set in the order of their numbers. Files that the plan
refuses are errors. Exit code 0: no errors (there may be warnings); 1: errors; 2: wrong arguments, or files that cannot be read.

  --format text|json     default text
  --postgres 14..18      version of the server; by default, forms of all versions are accepted
  --small-table NAME     a table that is read in milliseconds; may be given several times
  --applied VERSION      files up to this number are applied already: they are read, not analyzed
  --kind expand|contract contract: all files remove what no running version uses
  --any-tool             accept files of other tools, which slipway_migration refuses
  --rules                print the rules and end; with --format markdown, the page that explains them
`

func runLint(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var options lint.Options
	format := flags.String("format", "text", "")
	flags.IntVar(&options.Postgres, "postgres", 0, "")
	flags.Func("small-table", "", func(name string) error {
		options.SmallTables = append(options.SmallTables, strings.Split(name, ",")...)
		return nil
	})
	applied := flags.Int64("applied", -1, "")
	kind := flags.String("kind", "expand", "")
	anyTool := flags.Bool("any-tool", false, "")
	printRules := flags.Bool("rules", false, "")

	paths, err := parseMixed(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err := fmt.Fprint(stdout, lintUsage)
		return err
	case err != nil:
		return usageError("%w\n\n%s", err, lintUsage)
	case *printRules:
		return writeRules(stdout, *format)
	case len(paths) == 0:
		return usageError("which directory?\n\n%s", lintUsage)
	case *format != "text" && *format != "json":
		return usageError("the format is text or json, not %q", *format)
	case *kind != "expand" && *kind != "contract":
		return usageError("the kind is expand or contract, not %q", *kind)
	}
	options.Contract, options.Runnable = *kind == "contract", !*anyTool
	files, err := readFiles(paths)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	if len(files) == 0 {
		return usageError("there is no SQL file in %s", strings.Join(paths, ", "))
	}
	var history, pending []*sqlfile.File
	for _, file := range files {
		if file.Version >= 0 && file.Version <= *applied {
			history = append(history, file)
		} else {
			pending = append(pending, file)
		}
	}
	report, err := lint.Lint(ctx, history, pending, options)
	var wrong *lint.OptionsError
	if errors.As(err, &wrong) {
		return usageError("%s", wrong.Reason)
	}
	if err != nil {
		return err
	}
	if *format == "json" {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(report)
	} else {
		err = writeLint(stdout, report)
	}
	if err == nil && len(report.Errors()) > 0 {
		err = &exitError{code: exitFailed}
	}
	return err
}

// parseMixed parses options before, between and after the other arguments, which it returns.
func parseMixed(flags *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

func readFiles(paths []string) ([]*sqlfile.File, error) {
	var files []*sqlfile.File
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			inside, err := sqlfile.ReadDir(path)
			if err != nil {
				return nil, err
			}
			files = append(files, inside...)
			continue
		}
		content, err := regularfile.Read(path, sqlfile.MaxRead)
		if err != nil {
			return nil, err
		}
		files = append(files, sqlfile.Parse(filepath.Base(path), content))
	}
	sqlfile.Sort(files)
	return files, nil
}

func writeLint(out io.Writer, report *lint.Report) error {
	var text strings.Builder
	for _, finding := range report.Findings {
		severity := string(finding.Severity)
		if finding.Acknowledged != "" {
			severity = "acknowledged"
		}
		fmt.Fprintf(&text, "%s:%d: %s: %s", finding.File, finding.Line, severity, finding.Rule)
		if finding.Object != "" {
			fmt.Fprintf(&text, " (%s)", finding.Object)
		}
		fmt.Fprintf(&text, "\n    %s\n", finding.Reason)
		if finding.Acknowledged != "" {
			fmt.Fprintf(&text, "    Acknowledged: %s\n", finding.Acknowledged)
		} else {
			fmt.Fprintf(&text, "    Safe form: %s\n    %s\n", finding.SafeForm, finding.Page())
		}
	}
	fmt.Fprintf(&text, "%s, %s: %s, %s\n", count(report.Files, "file"), count(report.Statements, "statement"),
		count(len(report.Errors()), "error"), count(len(report.Warnings()), "warning"))
	_, err := io.WriteString(out, text.String())
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

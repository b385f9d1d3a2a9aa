// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

func newGenerateCommand(flags *fleetFlags) *cobra.Command {
	var options fleet.GenerateOptions
	var noCache, check bool
	command := &cobra.Command{
		Use:   "generate",
		Short: "Write the values of every environment",
		Long: "Writes <output>/<client>/<stage>/values.yaml for every environment of the fleet: finished values, in a fixed form, " +
			"without nulls. " +
			"Only files that differ are written, each in one step; where any environment has an error, nothing is. Files of environments " +
			"that there " +
			"are no more are listed, and removed with --prune.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			options.Charts = charts()
			options.DryRun = options.DryRun || check
			if !noCache {
				options.Cache = fleet.CachePath(flags.dir)
			}
			out, err := fleet.Generate(command.Context(), flags.dir, options)
			var findings *fleet.FindingsError
			if errors.As(err, &findings) {
				printFindings(command.ErrOrStderr(), findings.Findings)
				_, _ = fmt.Fprintln(command.ErrOrStderr(), "No file was written.")
				return errFindings
			}
			if err != nil {
				return err
			}
			printGenerated(command.OutOrStdout(), out, options)
			printFindings(command.ErrOrStderr(), out.Findings)
			if check && len(out.Added)+len(out.Changed)+len(out.Orphans) > 0 {
				_, _ = fmt.Fprintln(command.ErrOrStderr(), "The tree is out of date. Run `slipway generate`, review the changes and commit them.")
				return errFindings
			}
			return nil
		},
	}
	command.Flags().BoolVar(&options.DryRun, "dry-run", false, "report what would be written, and write nothing")
	command.Flags().BoolVar(&check, "check", false, "like --dry-run, and fail where anything would be written or is left over")
	command.Flags().BoolVar(&options.Prune, "prune", false, "remove generated files of environments that there are no more")
	command.Flags().BoolVar(&noCache, "no-cache", false, "compute everything, without the cache of the last run")
	return command
}

func printGenerated(out io.Writer, g *fleet.Generated, options fleet.GenerateOptions) {
	const most = 100
	list := func(what string, paths []string) {
		for i, path := range paths {
			if i == most {
				_, _ = fmt.Fprintf(out, "%-9s … and %d more\n", what, len(paths)-most)
				return
			}
			_, _ = fmt.Fprintf(out, "%-9s %s\n", what, path)
		}
	}
	list("added", g.Added)
	list("changed", g.Changed)
	if g.Pruned {
		list("removed", g.Orphans)
	} else {
		list("left over", g.Orphans)
	}
	verb := "written"
	if options.DryRun {
		verb = "to be written"
	}
	_, _ = fmt.Fprintf(out, "%d environments: %d files %s, %d unchanged\n", g.Environments, len(g.Added)+len(g.Changed), verb, g.Unchanged)
	if len(g.Orphans) > 0 && !g.Pruned {
		_, _ = fmt.Fprintln(out, "What is left over belongs to environments that the fleet has no more. Nothing deletes what runs there; "+
			"`slipway generate --prune` removes the files.")
	}
}

func printFindings(out io.Writer, findings []fleet.Finding) {
	for _, finding := range findings {
		place := finding.String()
		if place != "" {
			place += ": "
		}
		about := ""
		if len(finding.Environments) > 0 {
			about = fmt.Sprintf(" [%s]", fleet.Listed(finding.Environments))
		}
		_, _ = fmt.Fprintf(out, "%s: %s%s%s\n", finding.Severity, place, finding.Text, about)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

func newReportCommand(flags *fleetFlags) *cobra.Command {
	var against, folder string
	var asJSON, fail bool
	var limit int
	command := &cobra.Command{
		Use:   "report",
		Short: "Show how a change of the layers affects the fleet, and errors and anomalies in it",
		Long: "Compares the values that the layers give now with those generated before, at a git revision (--against origin/main) or " +
			"in a folder, " +
			"by default the tree as it is, and checks all values: unknown keys, schema, required and locked keys, values of one client in " +
			"another's, what looks like a secret, outliers, and lines without an effect.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if limit != 0 && limit < 1000 {
				return fmt.Errorf("--limit is %d; it is 0, for no limit, or at least 1000", limit)
			}
			described, err := flags.read(command.Context())
			if err != nil {
				return err
			}
			whole, err := described.ResolveAll(command.Context())
			if err != nil {
				return err
			}
			tree := filepath.Join(flags.dir, described.Output)
			if folder != "" {
				tree = folder
			}
			var base fleet.Base
			if against != "" {
				base, err = fleet.BaseFromGit(command.Context(), tree, against)
			} else {
				base, err = fleet.BaseFromFolder(tree)
			}
			if err != nil {
				return err
			}
			report, err := whole.Report(base)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(command.OutOrStdout())
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(report); err != nil {
					return err
				}
			} else {
				last := described.Stages[len(described.Stages)-1]
				_, _ = fmt.Fprint(command.OutOrStdout(), report.Markdown(last, limit))
			}
			if fail && fleet.HasErrors(report.Findings) {
				return errFindings
			}
			return nil
		},
	}
	command.Flags().StringVar(&against, "against", "", "git revision whose generated tree is compared with")
	command.Flags().StringVar(&folder, "tree", "", "folder of the generated tree to compare with (default: that of the fleet)")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	command.Flags().IntVar(&limit, "limit", 60000, "longest Markdown in bytes; 0 for no limit")
	command.Flags().BoolVar(&fail, "fail", true, "end with status 1 where there are errors")
	return command
}

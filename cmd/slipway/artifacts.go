// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
	"github.com/slipway-dev/terraform-provider-slipway/internal/gitops"
)

func newListCommand(flags *fleetFlags) *cobra.Command {
	var selected string
	var asJSON bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the environments of the fleet",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			described, err := flags.readWithoutChart(command.Context())
			if err != nil {
				return err
			}
			environments, err := selectEnvironments(described, selected)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(command.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(environments)
			}
			out := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, e := range environments {
				tags := make([]string, 0, len(e.Tags))
				for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
					tags = append(tags, tag+"="+e.Tags[tag])
				}
				_, _ = fmt.Fprintf(out, "%s\t%s\t%s\n", e.Name(), e.WaveName, strings.Join(tags, ","))
			}
			return out.Flush()
		},
	}
	command.Flags().StringVar(&selected, "select", "", "only environments that this selector matches: stage=prod,ring in (canary, early)")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

func newMatrixCommand(flags *fleetFlags) *cobra.Command {
	var selected, wave, against, output string
	var limit int
	command := &cobra.Command{
		Use:   "matrix",
		Short: "Print the matrix of a GitHub Actions pipeline",
		Long: "Prints the environments as JSON, by wave, and each wave in shards of at most 256 jobs, which is what GitHub makes of " +
			"one matrix. A " +
			"shard is never empty; \"any\" is false where there is nothing to do. With --against, only environments whose values differ " +
			"from those generated at a git revision are taken.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if limit < 1 || limit > gitops.MaxJobs {
				return fmt.Errorf("--limit is %d; GitHub makes 1 to %d jobs of a matrix", limit, gitops.MaxJobs)
			}
			described, err := flags.read(command.Context())
			if err == nil {
				err = described.CheckPlaces()
			}
			if err != nil {
				return err
			}
			if wave != "" && !slices.Contains(described.WaveNames(), wave) {
				return fmt.Errorf("there is no wave %q; there are %s", wave, strings.Join(described.WaveNames(), ", "))
			}
			environments, err := selectEnvironments(described, selected)
			if err != nil {
				return err
			}
			if against != "" {
				if environments, err = changed(command, flags, described, environments, against); err != nil {
					return err
				}
			}
			environments = slices.DeleteFunc(environments, func(e *fleet.Environment) bool { return wave != "" && e.WaveName != wave })
			matrix, err := gitops.NewMatrix(described, environments, limit)
			if err != nil {
				return err
			}
			text, err := json.Marshal(matrix)
			if err != nil {
				return err
			}
			if output == "" {
				_, err = fmt.Fprintln(command.OutOrStdout(), string(text))
				return err
			}
			return appendOutput(output, matrix)
		},
	}
	command.Flags().StringVar(&selected, "select", "", "only environments that this selector matches")
	command.Flags().StringVar(&wave, "wave", "", "only this wave")
	command.Flags().StringVar(&against, "against", "", "only environments whose values differ from those generated at this git revision")
	command.Flags().StringVar(&output, "output", "", "append any, shards and the names of waves to this file, as $GITHUB_OUTPUT is written")
	command.Flags().IntVar(&limit, "limit", gitops.MaxJobs, "most jobs in a shard, up to 256")
	return command
}

// selectEnvironments lists the environments that a selector matches. An unknown tag is refused: if it were misspelled, the command would
// silently deploy nothing.
func selectEnvironments(described *fleet.Fleet, selected string) ([]*fleet.Environment, error) {
	selector, err := fleet.ParseSelector(selected)
	if err != nil {
		return nil, err
	}
	if err := described.CheckSelector(selector); err != nil {
		return nil, err
	}
	return described.Select(selector), nil
}

// changed are the environments whose values differ from those at a revision.
func changed(
	command *cobra.Command, flags *fleetFlags, described *fleet.Fleet, environments []*fleet.Environment, against string,
) ([]*fleet.Environment, error) {
	whole, err := described.ResolveAll(command.Context())
	if err != nil {
		return nil, err
	}
	if fleet.HasErrors(whole.Findings) {
		return nil, &fleet.FindingsError{Findings: whole.Findings}
	}
	base, err := fleet.BaseFromGit(command.Context(), filepath.Join(flags.dir, described.Output), against)
	if err != nil {
		return nil, err
	}
	report, err := whole.Report(base)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(environments, func(e *fleet.Environment) bool {
		return !slices.Contains(report.Affected, e.Name()) && !slices.Contains(report.Added, e.Name())
	}), nil
}

// appendOutput writes the outputs for later jobs: any, waves (names), and the shards of each wave.
func appendOutput(path string, matrix *gitops.Matrix) error {
	names := make([]string, len(matrix.Waves))
	var text strings.Builder
	for i, wave := range matrix.Waves {
		names[i] = wave.Name
		shards, err := json.Marshal(wave.Shards)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&text, "%s=%s\n", wave.Name, shards)
	}
	waves, err := json.Marshal(names)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(&text, "any=%t\nwaves=%s\n", matrix.Any, waves)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(text.String()); err != nil {
		_ = file.Close() // the first error is the cause
		return err
	}
	return file.Close()
}

func newApplicationSetCommand(flags *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "applicationset",
		Short: "Print Argo CD's ApplicationSets, one per stage",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			described, err := flags.readWithoutChart(command.Context())
			if err != nil {
				return err
			}
			text, err := gitops.ApplicationSets(described)
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(text)
			return err
		},
	}
}

func newPrometheusCommand(flags *fleetFlags) *cobra.Command {
	var folder string
	command := &cobra.Command{
		Use:   "prometheus",
		Short: "Write the monitoring of the fleet: federation, remote write, recording and alert rules",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			described, err := flags.readWithoutChart(command.Context())
			if err != nil {
				return err
			}
			made, err := gitops.Prometheus(described)
			if err != nil {
				return err
			}
			if folder == "" {
				folder = filepath.Join(flags.dir, described.Output, "shared", "monitoring")
			}
			written, err := fleet.WriteFiles(command.Context(), folder, made)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%d of %d files written to %s\n", written, len(made), folder)
			return err
		},
	}
	command.Flags().StringVar(&folder, "out", "", "folder to write to (default: shared/monitoring in the generated tree)")
	return command
}

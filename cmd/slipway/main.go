// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command slipway makes the values of a whole fleet from one description, and what goes with them: the report for a pull request, the
// matrix of a pipeline, Argo CD's ApplicationSets and the monitoring configuration. It is for pipelines that do not run Terraform; the
// provider's data sources do the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

// version is set when a release is built.
var version = "dev"

// errFindings ends the command with status 1 after the findings have been printed.
var errFindings = errors.New("the fleet has errors")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errFindings) {
			_, _ = fmt.Fprintln(os.Stderr, "slipway: "+describe(err))
		}
		stop()
		os.Exit(1)
	}
}

// describe returns what happened, what was observed and what to do, for errors that explain themselves.
func describe(err error) string {
	typed, ok := explain.As(err)
	if !ok {
		return err.Error()
	}
	happened, observed, advice := typed.Explain()
	return strings.Join([]string{happened, strings.TrimSpace(observed), advice}, "\n\n")
}

// fleetFlags are common to all commands.
type fleetFlags struct{ dir string }

func newCommand() *cobra.Command {
	flags := &fleetFlags{}
	root := &cobra.Command{
		Use:           "slipway",
		Short:         "Values of a whole fleet from one description",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&flags.dir, "dir", "C", "clients", "folder of fleet.yaml")
	root.AddCommand(
		newGenerateCommand(flags),
		newExplainCommand(flags),
		newValuesCommand(flags),
		newReportCommand(flags),
		newListCommand(flags),
		newMatrixCommand(flags),
		newApplicationSetCommand(flags),
		newPrometheusCommand(flags),
	)
	return root
}

// charts loads charts, without credentials: a chart in a private registry is pulled beforehand, and named by its path.
func charts() *chart.Loader { return chart.NewLoader("", nil) }

// readWithoutChart reads the fleet, and refuses one in which two environments would overwrite each other.
func (f *fleetFlags) readWithoutChart(ctx context.Context) (*fleet.Fleet, error) {
	out, err := fleet.Read(ctx, f.dir)
	if err != nil {
		return nil, err
	}
	return out, out.CheckPlaces()
}

// read reads the fleet with its chart.
func (f *fleetFlags) read(ctx context.Context) (*fleet.Fleet, error) {
	out, err := fleet.Read(ctx, f.dir)
	if err != nil {
		return nil, err
	}
	return out, out.LoadChart(ctx, charts())
}

// environment reads the fleet and resolves one environment.
func (f *fleetFlags) environment(ctx context.Context, client, stage string) (*fleet.Fleet, *fleet.Resolved, error) {
	described, err := f.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	e := described.Find(client, stage)
	if e == nil {
		return nil, nil, fleet.ErrNoEnvironment(described, client, stage)
	}
	resolved, err := described.Resolve(e)
	return described, resolved, err
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newExplainCommand(flags *fleetFlags) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "explain <client>/<stage> [key]",
		Short: "Show which layer, file and line set a value, and what it overrode",
		Long: "Shows which layer, file and line set a value of an environment, and what it overrode. The key is a dotted path such as " +
			"autoscaling.maxReplicas; a dot in a key is written \"\\.\". A key with others below it is explained one by one, and without " +
			"a key all are.",
		Args: environmentArgs(cobra.RangeArgs(2, 3)),
		RunE: func(command *cobra.Command, arguments []string) error {
			arguments = splitEnvironment(arguments)
			described, resolved, err := flags.environment(command.Context(), arguments[0], arguments[1])
			if err != nil {
				return err
			}
			key := ""
			if len(arguments) == 3 {
				key = arguments[2]
			}
			explained, err := described.ExplainKey(resolved, key)
			if err != nil {
				return err
			}
			out := command.OutOrStdout()
			if asJSON {
				encoder := json.NewEncoder(out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(explained)
			}
			for _, one := range explained {
				_, _ = fmt.Fprint(out, one.Text())
			}
			return nil
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// splitEnvironment takes an environment as `slipway list` prints it, "client/stage", and as two arguments.
func splitEnvironment(arguments []string) []string {
	if len(arguments) == 0 {
		return nil
	}
	client, stage, joined := strings.Cut(arguments[0], "/")
	if !joined {
		return arguments
	}
	return append([]string{client, stage}, arguments[1:]...)
}

func environmentArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		return check(command, splitEnvironment(arguments))
	}
}

func newValuesCommand(flags *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "values <client>/<stage>",
		Short: "Print the values of an environment",
		Args:  environmentArgs(cobra.ExactArgs(2)),
		RunE: func(command *cobra.Command, arguments []string) error {
			arguments = splitEnvironment(arguments)
			described, resolved, err := flags.environment(command.Context(), arguments[0], arguments[1])
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(described.YAML(resolved))
			return err
		},
	}
}

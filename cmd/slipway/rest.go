// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import "github.com/spf13/cobra"

func newListCommand(*fleetFlags) *cobra.Command   { return &cobra.Command{Use: "list"} }
func newMatrixCommand(*fleetFlags) *cobra.Command { return &cobra.Command{Use: "matrix"} }
func newApplicationSetCommand(*fleetFlags) *cobra.Command {
	return &cobra.Command{Use: "applicationset"}
}
func newPrometheusCommand(*fleetFlags) *cobra.Command { return &cobra.Command{Use: "prometheus"} }

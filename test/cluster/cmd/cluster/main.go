// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command cluster brings up, shows and takes down the local Kubernetes. See ../../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var name string
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "A real Kubernetes on this machine, in namespaces of its own",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&name, "name", cluster.DefaultName, "which cluster; several can run at once")
	root.AddCommand(upCommand(&name), downCommand(&name), statusCommand(&name), loadCommand(&name), listCommand(),
		pathCommand(&name, "kubeconfig", "Print the path of the administrator's kubeconfig", (*cluster.Cluster).Kubeconfig),
		pathCommand(&name, "dir", "Print the directory that holds the cluster's data and logs", (*cluster.Cluster).Dir),
		pathCommand(&name, "bin", "Print the directories of kubectl and the other programs, for PATH", func(c *cluster.Cluster) string {
			return strings.Join(c.Programs(), ":")
		}))
	return root
}

func upCommand(name *string) *cobra.Command {
	var options cluster.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the cluster up, or complete what an interrupted up began",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			begin := time.Now()
			options.Name, options.Log = *name, cmd.ErrOrStderr()
			c, err := cluster.Up(cmd.Context(), options)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Cluster %s is up (%.1f s).\n  export KUBECONFIG=%s PATH=%s:$PATH\n",
				c.Name(), time.Since(begin).Seconds(), c.Kubeconfig(), strings.Join(c.Programs(), ":"))
			return err
		},
	}
	cmd.Flags().StringArrayVar(&options.Contexts, "context", nil, "name of a further context in the kubeconfig (repeatable)")
	cmd.Flags().BoolVar(&options.ControlPlaneOnly, "control-plane-only", false, "only etcd, API server and controllers: no node, no pods")
	return cmd
}

func downCommand(name *string) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Take the cluster down; the next up finds its data again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := cluster.Open(*name)
			if errors.Is(err, cluster.ErrNotFound) {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "There is no cluster %s.\n", *name)
				return err
			}
			if err != nil {
				return err
			}
			down := c.Down
			if purge {
				down = c.Purge
			}
			if err := down(cmd.Context(), cmd.ErrOrStderr()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Cluster %s is down.\n", *name)
			return err
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "also delete its data")
	return cmd
}

func statusCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what runs; fails when the cluster does not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := cluster.Open(*name)
			if err != nil {
				return err
			}
			pid, err := c.PID()
			if err != nil {
				return err
			}
			if pid == 0 {
				return fmt.Errorf("cluster %s is down; its data is in %s", c.Name(), c.Dir())
			}
			components, err := c.Components()
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), c, pid, components)
		},
	}
}

func printStatus(out io.Writer, c *cluster.Cluster, pid int, components []cluster.ComponentState) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "cluster\t%s\nserver\t%s\nsupervisor\tprocess %d\nkubeconfig\t%s\nlogs\t%s/log\n\n",
		c.Name(), c.Server(), pid, c.Kubeconfig(), c.Dir())
	_, _ = fmt.Fprintln(w, "COMPONENT\tSTATE\tSINCE\tRESTARTS\tLAST EXIT")
	for _, s := range components {
		state := "not running"
		if s.Running {
			state = "running"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", s.Name, state, time.Since(s.Since).Round(time.Second), s.Restarts, s.LastExit)
	}
	return w.Flush()
}

func loadCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "load ARCHIVE...",
		Short: "Make the images in archives (docker save, OCI layout) available to pods",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, archives []string) error {
			c, err := cluster.Open(*name)
			if err != nil {
				return err
			}
			images, err := c.Load(cmd.Context(), archives...)
			for _, image := range images {
				verb := "there already"
				if image.Imported {
					verb = "loaded"
				}
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", image.Reference, image.Digest, verb)
			}
			return err
		},
	}
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the clusters of this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := cluster.List()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "NAME\tSTATE\tSERVER\tDATA")
			for _, c := range clusters {
				state := "down"
				if pid, err := c.PID(); err != nil {
					return err
				} else if pid != 0 {
					state = "running"
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name(), state, c.Server(), c.Dir())
			}
			return w.Flush()
		},
	}
}

func pathCommand(name *string, use, short string, path func(*cluster.Cluster) string) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := cluster.Open(*name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), path(c))
			return err
		},
	}
}

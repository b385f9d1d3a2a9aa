// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command build builds programs that the tests and the demo use (kubernetes, coredns, opentofu, istio) from the modules in
// tools/, unless the cache has them, and prints the directory of each.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	tools := map[string]cluster.Tool{}
	usage := "usage: build TOOL..., where TOOL is one of"
	for _, tool := range cluster.Tools {
		tools[tool.Name] = tool
		usage += " " + tool.Name
	}
	if len(names) == 0 {
		return fmt.Errorf("%s", usage)
	}
	for _, name := range names {
		tool, ok := tools[name]
		if !ok {
			return fmt.Errorf("there is no tool %s; %s", name, usage)
		}
		dir, err := cluster.Build(ctx, tool, os.Stderr)
		if err != nil {
			return err
		}
		fmt.Println(dir)
	}
	return nil
}

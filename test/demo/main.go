// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command demo deploys two clients the way a user would, and shows each step and command: a workspace and a var-file per
// client, a release for both, an upgrade that is reviewed and applied for one of them, a bad release that is rolled back by
// itself, and what happens to a mistake. It runs on a local Kubernetes that it starts, or on the cluster that KUBECONFIG
// names. Everything that it makes on the machine lies in the cache directory; running it again resumes from what is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	down := flag.Bool("down", false, "take down what an earlier run left")
	flag.StringVar(&clusterName, "name", clusterName, "name of the local Kubernetes; each has a repository of its own")
	serve := flag.String("postgres", "",
		"serve the clients' databases at this address, as long as the local Kubernetes is there; the demo starts this itself")
	flag.Parse()

	// The first interrupt reaches terraform too, which is in the same process group and ends in its own time.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	run := show
	if *down {
		run = takeDown
	}
	if *serve != "" {
		run = func(ctx context.Context) error { return servePostgres(ctx, *serve) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// errUsage is for what the user can only correct before the demo starts.
var errUsage = errors.New("the demo cannot start")

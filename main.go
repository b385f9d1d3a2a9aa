// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command terraform-provider-slipway is a Terraform provider that ships one service to many isolated client environments.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/provider"
)

// version is set by the release build.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve for a debugger: print TF_REATTACH_PROVIDERS and wait for Terraform to attach")
	flag.Parse()

	// Runners, systemd and timeout(1) end a job with a SIGTERM to the whole process group. Terraform passes an interrupt on as
	// the end of each operation's context and then waits for us; a SIGTERM of our own would kill us in the middle of a rollout
	// and wipe the private state. Terraform ends this process when it is done, and when Terraform dies, our contexts end too.
	signal.Ignore(syscall.SIGTERM)

	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address:         "registry.terraform.io/slipway-dev/slipway",
		Debug:           *debug,
		ProtocolVersion: 6,
	})
	if err != nil {
		log.Fatal(err)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command terraform-provider-slipway is a Terraform provider that ships one service to many isolated client environments.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

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

	quietUnlessLogged()
	collectSparsely()
	changes := &provider.Changes{}
	var options []tf6server.ServeOpt
	if *debug {
		options = append(options, tf6server.WithManagedDebug())
	} else {
		go endWithParent(changes)
	}
	err := tf6server.Serve("registry.terraform.io/slipway-dev/slipway", provider.NewServer(version, changes), options...)
	if err != nil {
		log.Fatal(err)
	}
}

// quietUnlessLogged turns the plugin framework's own log off unless Terraform logs. The framework writes at trace level and Terraform
// discards it, which took a third of the time of a plan without changes.
func quietUnlessLogged() {
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "TF_LOG") {
			return
		}
	}
	if err := os.Setenv("TF_LOG_SDK", "OFF"); err != nil {
		log.Fatal(err)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/provider"
)

// endWithParent ends this process once Terraform has died and no change is in progress. Terraform ends its providers itself; when it is
// killed, nobody does. A change in progress ends soon: its context ends with Terraform's connection, and it records what it did.
func endWithParent(changes *provider.Changes) {
	parent := os.Getppid()
	for range time.Tick(time.Second) {
		if os.Getppid() != parent && !changes.Running() {
			os.Exit(1)
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// progress passes short sentences about a resource on to Terraform's log, the only place where a provider can speak during an apply.
func progress(ctx context.Context, handle environment.Handle, what string) func(string) {
	return func(sentence string) {
		tflog.Info(ctx, sentence, map[string]any{"client": handle.Client, "stage": handle.Stage, "resource": what})
	}
}

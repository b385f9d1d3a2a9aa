// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Changes counts the resources that a provider's process is creating, updating or deleting.
type Changes struct{ running atomic.Int64 }

// Running reports that at least one change is in progress.
func (c *Changes) Running() bool { return c.running.Load() > 0 }

// ApplyResourceChange counts the change while the framework makes it.
func (s *server) ApplyResourceChange(
	ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest,
) (*tfprotov6.ApplyResourceChangeResponse, error) {
	s.changes.running.Add(1)
	defer s.changes.running.Add(-1)
	return s.ProviderServer.ApplyResourceChange(ctx, req)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// tracks reads the pods of both tracks.
type tracks struct {
	pods.Reader
	stable, canary pods.Track
}

// capacity counts the pods of both. Errors: *pods.ServiceMissingError, others as from cluster.Classify.
func (t tracks) capacity(ctx context.Context) (pods.Capacity, error) {
	return t.Capacity(ctx, t.stable, t.canary)
}

// content names the version that runs on the canary's side, empty where there is none.
func (t tracks) content(ctx context.Context) (string, error) {
	wanted, err := t.Labels(ctx, t.canary)
	if err != nil {
		return "", err
	}
	return t.Content(ctx, wanted)
}

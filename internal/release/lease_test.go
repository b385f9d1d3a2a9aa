// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	limit := 20 * time.Second
	harness.LeaseCostsNoTime(t, b.namespace(), limit, "Apply", func() error {
		_, err := b.apply(t.Context(), with(t), timeout(limit))
		return err
	})
	harness.LeaseCostsNoTime(t, b.namespace(), limit, "Remove", func() error {
		_, err := Remove(t.Context(), b.target, RemoveOptions{InstanceID: b.id, Timeout: limit})
		return err
	})
}

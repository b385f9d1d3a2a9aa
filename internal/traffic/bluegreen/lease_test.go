// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	c.pod(Blue)
	c.mustApply(Spec{Active: Blue})
	options := Options{Claim: record.Claim{InstanceID: "one"}, Timeout: 12 * time.Second}
	harness.LeaseCostsNoTime(t, c.Handle.Namespace, options.Timeout, "Apply", func() error {
		_, err := Apply(t.Context(), c.target, Spec{Active: Blue}, options)
		return err
	})
	harness.LeaseCostsNoTime(t, c.Handle.Namespace, options.Timeout, "Remove", func() error {
		_, err := Remove(t.Context(), c.target, options)
		return err
	})
}

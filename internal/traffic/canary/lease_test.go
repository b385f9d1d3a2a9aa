// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	c := newTracked(t, traffictest.VirtualService)
	c.deploy("v1", harness.Answering)
	c.until("stable serves", func(now pods.Capacity) bool { return now.Stable.Ready == 1 })
	c.mustApply(Spec{})
	options := c.options(12*time.Second, nil)
	harness.LeaseCostsNoTime(t, c.Handle.Namespace, options.Timeout, "Apply", func() error {
		_, err := Apply(t.Context(), c.target, Spec{}, options)
		return err
	})
	harness.LeaseCostsNoTime(t, c.Handle.Namespace, options.Timeout, "Remove", func() error {
		_, err := Remove(t.Context(), c.target, options)
		return err
	})
}

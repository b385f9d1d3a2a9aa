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
	for _, test := range []struct {
		name string
		run  func() error
	}{
		{"Apply", func() error {
			_, err := Apply(t.Context(), c.target, Spec{}, options)
			return err
		}},
		{"Remove", func() error {
			_, err := Remove(t.Context(), c.target, options)
			return err
		}},
	} {
		harness.HoldLease(t, c.Handle.Namespace, options.Timeout+2*time.Second)
		began := time.Now()
		if err := test.run(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if waited := time.Since(began); waited < options.Timeout {
			t.Errorf("%s did not wait for the other run: it ended after %s", test.name, waited)
		}
	}
}

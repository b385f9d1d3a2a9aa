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
	for _, test := range []struct {
		name string
		run  func() error
	}{
		{"Apply", func() error {
			_, err := Apply(t.Context(), c.target, Spec{Active: Blue}, options)
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

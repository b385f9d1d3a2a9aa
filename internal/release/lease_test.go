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
	for _, test := range []struct {
		name string
		run  func() error
	}{
		{"Apply", func() error {
			_, err := b.apply(t.Context(), with(t), timeout(limit))
			return err
		}},
		{"Remove", func() error {
			_, err := Remove(t.Context(), b.target, RemoveOptions{InstanceID: b.id, Timeout: limit})
			return err
		}},
	} {
		harness.HoldLease(t, b.namespace(), limit+2*time.Second)
		began := time.Now()
		if err := test.run(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if waited := time.Since(began); waited < limit {
			t.Errorf("%s did not wait for the other run: it ended after %s", test.name, waited)
		}
	}
}

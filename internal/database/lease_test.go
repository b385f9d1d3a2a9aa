// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.mustEnsure()
	c.options.Timeout = 15 * time.Second
	for _, test := range []struct {
		name string
		run  func() error
	}{{"Ensure", c.ensure}, {"Remove", c.remove}} {
		harness.HoldLease(t, c.spec.Handle.Namespace, c.options.Timeout+2*time.Second)
		began := time.Now()
		if err := test.run(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if waited := time.Since(began); waited < c.options.Timeout {
			t.Errorf("%s did not wait for the other run: it ended after %s", test.name, waited)
		}
	}
}

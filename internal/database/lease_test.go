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
	harness.LeaseCostsNoTime(t, c.spec.Handle.Namespace, c.options.Timeout, "Ensure", c.ensure)
	harness.LeaseCostsNoTime(t, c.spec.Handle.Namespace, c.options.Timeout, "Remove", c.remove)
}

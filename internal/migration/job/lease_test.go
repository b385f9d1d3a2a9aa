// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "migration")
	target := Target{Cluster: made.Cluster, Handle: made.Handle, Name: "contract"}
	options := Options{InstanceID: "one", Create: true, Timeout: 12 * time.Second}
	harness.LeaseCostsNoTime(t, made.Handle.Namespace, options.Timeout, "Apply", func() error {
		_, err := Apply(t.Context(), target, &Directory{}, options)
		return err
	})
	harness.LeaseCostsNoTime(t, made.Handle.Namespace, options.Timeout, "Remove", func() error {
		_, err := Remove(t.Context(), target, options)
		return err
	})
}

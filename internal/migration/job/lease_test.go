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
	for name, run := range map[string]func() error{
		"Apply": func() error {
			_, err := Apply(t.Context(), target, &Directory{}, options)
			return err
		},
		"Remove": func() error {
			_, err := Remove(t.Context(), target, options)
			return err
		},
	} {
		harness.HoldLease(t, made.Handle.Namespace, options.Timeout+2*time.Second)
		began := time.Now()
		if err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if waited := time.Since(began); waited < options.Timeout {
			t.Errorf("%s did not wait for the other run: it ended after %s", name, waited)
		}
	}
}

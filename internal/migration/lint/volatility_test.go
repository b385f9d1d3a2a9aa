// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// compareVolatility compares the lists of functions with the catalog of a server.
func compareVolatility(t *testing.T, server *postgres.Server) {
	t.Helper()
	rows, err := server.Psql(t.Context(), "postgres", "SELECT proname, string_agg(DISTINCT provolatile::text, '') FROM pg_proc GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for row := range strings.SplitSeq(rows, "\n") {
		name, volatility, _ := strings.Cut(row, "|")
		switch {
		case volatileFunctions[name]:
			known++
			// txid_current and its like are STABLE in name; currval and its like are volatile.
			if !strings.Contains(volatility, "v") && !slices.Contains([]string{"txid_current", "pg_current_xact_id"}, name) {
				t.Errorf("%s is not volatile but %q", name, volatility)
			}
		case steadyFunctions[name]:
			known++
			// In PostgreSQL 14, timezone of a timetz is volatile; those of timestamps are not.
			if strings.Contains(volatility, "v") && name != "timezone" {
				t.Errorf("%s is volatile", name)
			}
		}
	}
	if known < 60 {
		t.Errorf("only %d functions of the lists are in the server", known)
	}
}

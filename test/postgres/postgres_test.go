// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package postgres

import (
	"testing"
)

func TestStart_OnThePortOfAnotherServerIsAnError(t *testing.T) {
	first := ForTest(t)
	second, err := Start(t.Context(), Options{Port: first.Port})
	if err == nil {
		t.Errorf("a second server started on port %d", first.Port)
		if err := second.Remove(); err != nil {
			t.Error(err)
		}
	}
}

func TestRun_ServesTheSameDataAgainAfterAStop(t *testing.T) {
	server := ForTest(t)
	if _, err := server.Psql(t.Context(), "postgres", "create table kept (id int)"); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Psql(t.Context(), "postgres", "select 1"); err == nil {
		t.Error("a stopped server answers")
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Psql(t.Context(), "postgres", "select count(*) from kept"); err != nil || got != "0" {
		t.Errorf("count is %q, %v", got, err)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package postgres

import (
	"strconv"
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

func TestOnEachVersion_StartsAServerOfThatVersion(t *testing.T) {
	if got := Versions(); len(got) != 5 || got[0] != 14 || got[4] != 18 {
		t.Errorf("versions %v", got)
	}
	OnEachVersion(t, func(t *testing.T, version int, server *Server) {
		got, err := server.Psql(t.Context(), "postgres", "SELECT current_setting('server_version_num')::int / 10000")
		if err != nil || got != strconv.Itoa(version) {
			t.Errorf("version %s, %v", got, err)
		}
	})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// connected is a session with the server's database for administrators.
func connected(t *testing.T, user, password string) *pgx.Conn {
	t.Helper()
	server := testServer(t)
	s := Server{Host: server.Address, Port: int64(server.Port), SSLMode: "disable"}
	conn, err := s.connect(t.Context(), user, password, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // some tests close it themselves
	return conn
}

func TestLock_LetsOneAdministratorWorkAtATime(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	var inside atomic.Int32
	var group sync.WaitGroup
	for range 6 {
		conn := connected(t, server.User, server.Password)
		group.Go(func() {
			if err := lockDatabase(t.Context(), conn, "busy", nil); err != nil {
				t.Error(err)
				return
			}
			if now := inside.Add(1); now != 1 {
				t.Errorf("%d work at the same time", now)
			}
			time.Sleep(20 * time.Millisecond)
			inside.Add(-1)
			if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestLock_WaitsForAnotherAdministratorUntilTheTimeIsUp(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	first, second := connected(t, server.User, server.Password), connected(t, server.User, server.Password)
	if err := lockDatabase(t.Context(), first, "held", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	said := 0
	if err := lockDatabase(ctx, second, "held", func() { said++ }); err == nil || said != 1 {
		t.Errorf("got %v, and said %d times that it waits", err, said)
	}
	if err := lockDatabase(t.Context(), connected(t, server.User, server.Password), "another", nil); err != nil {
		t.Errorf("another database: %v", err)
	}
}

// The role of a client's application can take any advisory lock of a database that it can connect to.
func TestLock_IsNotForRolesOfClients(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	admin := connected(t, server.User, server.Password)
	if _, err := admin.Exec(t.Context(), "CREATE ROLE blocker LOGIN PASSWORD 'canary'"); err != nil {
		t.Fatal(err)
	}
	rogue := connected(t, "blocker", "canary")
	for _, sql := range []string{
		"SELECT pg_advisory_lock(85670567, hashtext('wanted'))",
		"SELECT pg_advisory_lock(hashtext('" + lockPrefix + "wanted'), n) FROM generate_series(1, 1000) n",
		"SELECT pg_advisory_lock_shared(hashtext('" + lockPrefix + "wanted'), n) FROM generate_series(-1000, 0) n",
	} {
		if _, err := rogue.Exec(t.Context(), sql); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", sql, err))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lockDatabase(ctx, admin, "wanted", func() { t.Error("it waits for the role of a client") }); err != nil {
		t.Error(err)
	}
}

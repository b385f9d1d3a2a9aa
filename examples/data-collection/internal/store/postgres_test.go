// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/pgtest"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

func open(t *testing.T, url string, create bool) *Postgres {
	t.Helper()
	p, err := NewPostgres(t.Context(), url, create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// One server for all of these, since starting it takes longer than they do.
func TestPostgres(t *testing.T) {
	server := pgtest.Start(t)
	url := server.URL("postgres")

	t.Run("is not ready without its table", func(t *testing.T) {
		p := open(t, url, false)
		if err := p.Ready(t.Context()); !errors.Is(err, ErrNoTable) {
			t.Errorf("got %v, want ErrNoTable", err)
		}
	})

	t.Run("makes its table on request, from many pods at once", func(t *testing.T) {
		var pods sync.WaitGroup
		for range 8 {
			p := open(t, url, true)
			pods.Go(func() {
				if err := p.Ready(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		pods.Wait()
		if err := open(t, url, false).Ready(t.Context()); err != nil {
			t.Errorf("the table is not there: %v", err)
		}
	})

	t.Run("stores records and lists the newest first", func(t *testing.T) {
		p := open(t, url, false)
		var ids []int64
		for _, payload := range []string{`{"n": 1}`, `{"n": 12345678901234567890.5, "t": "é"}`} {
			rec, err := p.Add(t.Context(), record.Record{Source: "sensor", Payload: json.RawMessage(payload)})
			if err != nil {
				t.Fatal(err)
			}
			if rec.ReceivedAt.IsZero() {
				t.Error("the record has no time")
			}
			ids = append(ids, rec.ID)
		}
		records, err := open(t, url, false).List(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) != 2 || records[0].ID != ids[1] || records[1].ID != ids[0] || ids[1] <= ids[0] {
			t.Fatalf("got %+v, want the ids %v, newest first", records, ids)
		}
		if got := string(records[0].Payload); got != `{"n": 12345678901234567890.5, "t": "é"}` {
			t.Errorf("the payload came back as %s", got)
		}
	})

	t.Run("refuses what jsonb cannot hold, as the sender's mistake", func(t *testing.T) {
		p := open(t, url, false)
		for _, payload := range []string{`{"s": "\ud800"}`, `{"n": 1e999999}`, `{"s": "\u0000"}`} {
			_, err := p.Add(t.Context(), record.Record{Source: "a", Payload: json.RawMessage(payload)})
			var invalid *record.InvalidError
			if !errors.As(err, &invalid) {
				t.Errorf("%s: got error %v, want an InvalidError", payload, err)
			}
		}
	})

	t.Run("comes back after the server was away", func(t *testing.T) {
		p := open(t, url, false)
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Stop(t)
		err := p.Ready(t.Context())
		if err == nil {
			t.Error("it is ready without a server")
		} else if strings.Contains(err.Error(), server.Password) {
			t.Errorf("the password is in the error: %v", err)
		}
		server.Run(t)
		if err := p.Ready(t.Context()); err != nil {
			t.Errorf("it is not ready again: %v", err)
		}
	})

	t.Run("reports that the password is wrong, and not which", func(t *testing.T) {
		p := open(t, strings.Replace(url, server.Password, "canary-password", 1), false)
		err := p.Ready(t.Context())
		if err == nil || !strings.Contains(err.Error(), "password authentication failed") {
			t.Errorf("got error %v, want one about the password", err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the password is in the error: %v", err)
		}
	})
}

func TestNewPostgres_KeepsTheSettingsOutOfItsError(t *testing.T) {
	for _, url := range []string{"postgres://u:canary%zz@h/d", "postgres://u:canary@h:port/d", "host=h password=canary port=x"} {
		_, err := NewPostgres(t.Context(), url, false)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got error %v", url, err)
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

func sources(t *testing.T, m *Memory, limit int) string {
	t.Helper()
	records, err := m.List(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, rec := range records {
		names = append(names, fmt.Sprintf("%s#%d", rec.Source, rec.ID))
	}
	return strings.Join(names, " ")
}

func add(t *testing.T, m *Memory, source, payload string) {
	t.Helper()
	if _, err := m.Add(t.Context(), record.Record{Source: source, Payload: json.RawMessage(payload)}); err != nil {
		t.Fatal(err)
	}
}

func TestMemory_ListsTheNewestFirst(t *testing.T) {
	m := NewMemory(10, 1000)
	if got := sources(t, m, 5); got != "" {
		t.Errorf("an empty store lists %s", got)
	}
	for _, name := range []string{"a", "b", "c"} {
		add(t, m, name, `{}`)
	}
	if got := sources(t, m, 2); got != "c#3 b#2" {
		t.Errorf("got %s", got)
	}
	if got := sources(t, m, 10); got != "c#3 b#2 a#1" {
		t.Errorf("got %s", got)
	}
}

func TestMemory_DropsTheOldestRecords(t *testing.T) {
	m := NewMemory(2, 1000)
	for _, name := range []string{"a", "b", "c"} {
		add(t, m, name, `{}`)
	}
	if got := sources(t, m, 10); got != "c#3 b#2" {
		t.Errorf("by number: got %s", got)
	}

	m = NewMemory(100, 20)
	add(t, m, "a", `{"x":"123"}`)   // 11 bytes
	add(t, m, "b", `{}`)            // 13
	add(t, m, "c", `{"x":"12345"}`) // 26: a must go
	if got := sources(t, m, 10); got != "c#3 b#2" {
		t.Errorf("by size: got %s", got)
	}
}

func TestMemory_RefusesWhatItCanNeverStore(t *testing.T) {
	m := NewMemory(10, 5)
	_, err := m.Add(t.Context(), record.Record{Source: "a", Payload: json.RawMessage(`{"x":1}`)})
	var invalid *record.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("got error %v, want an InvalidError", err)
	}
}

func TestMemory_GivesEachRecordItsOwnIDUnderConcurrentUse(t *testing.T) {
	m := NewMemory(1000, 1<<20)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for range 50 {
				add(t, m, "a", `{}`)
				sources(t, m, 3)
			}
		})
	}
	senders.Wait()
	records, err := m.List(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, rec := range records {
		seen[rec.ID] = true
	}
	if len(records) != 400 || len(seen) != 400 {
		t.Errorf("%d records with %d different ids, want 400", len(records), len(seen))
	}
}

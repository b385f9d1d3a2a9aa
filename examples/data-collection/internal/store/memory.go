// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

// Memory keeps the newest records in memory: what a service without a database does. They are gone with the process.
type Memory struct {
	maxRecords int
	maxBytes   int

	mu      sync.Mutex
	lastID  int64
	bytes   int
	records []record.Record // oldest first
}

// NewMemory makes a store that drops its oldest records once it holds more than maxRecords of them, or payloads of more
// than maxBytes together.
func NewMemory(maxRecords, maxBytes int) *Memory {
	return &Memory{maxRecords: maxRecords, maxBytes: maxBytes}
}

// Name is "memory".
func (m *Memory) Name() string { return "memory" }

// Add stores a record and returns it with its id and time. A record larger than the whole store is refused.
func (m *Memory) Add(_ context.Context, rec record.Record) (record.Record, error) {
	if len(rec.Payload) > m.maxBytes {
		return record.Record{}, &record.InvalidError{Reason: "payload is larger than the memory store"}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastID++
	rec.ID, rec.ReceivedAt = m.lastID, time.Now().UTC()
	rec.Payload = slices.Clone(rec.Payload)
	m.records = append(m.records, rec)
	m.bytes += len(rec.Payload)

	drop := 0
	for len(m.records)-drop > m.maxRecords || m.bytes > m.maxBytes {
		m.bytes -= len(m.records[drop].Payload)
		m.records[drop] = record.Record{} // frees the payload before the array is replaced
		drop++
	}
	m.records = m.records[drop:]
	return rec, nil
}

// List returns at most limit records, the newest first.
func (m *Memory) List(_ context.Context, limit int) ([]record.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := slices.Clone(m.records[max(0, len(m.records)-limit):])
	slices.Reverse(newest)
	return newest, nil
}

// Ready never fails.
func (m *Memory) Ready(context.Context) error { return nil }

// Close does nothing.
func (m *Memory) Close() {}

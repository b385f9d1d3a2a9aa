// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package service answers over HTTP and gRPC.
package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/faults"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

// Name is what the service calls itself.
const Name = "data-collection"

// Store keeps records. Its methods are safe for concurrent use.
type Store interface {
	// Name is the kind of the store.
	Name() string
	// Add returns the record with its id and time. A record that it cannot take is a *record.InvalidError.
	Add(ctx context.Context, rec record.Record) (record.Record, error)
	// List returns the newest records, at most limit.
	List(ctx context.Context, limit int) ([]record.Record, error)
	// Ready returns an error when records cannot be stored now.
	Ready(ctx context.Context) error
}

// Info is what /version answers.
type Info struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Client  string `json:"client"`
	Stage   string `json:"stage"`
	Store   string `json:"store"`
}

// Options are what a Service is made of. All but Token and Faults are needed.
type Options struct {
	Info           Info // Service and Store are filled in
	Store          Store
	Token          string // empty: everybody may send and read records
	MaxRecordBytes int64
	ReadyTimeout   time.Duration // how long the store may take to report that it is ready
	Faults         *faults.Injector
	Registry       *prometheus.Registry
	Log            *slog.Logger
}

// Service is what the HTTP and the gRPC side share.
type Service struct {
	Options
	metrics  *metrics
	stopping atomic.Bool
}

// New makes a Service and registers its metrics.
func New(o Options) *Service {
	o.Info.Service = Name
	o.Info.Store = o.Store.Name()
	if o.Faults == nil {
		o.Faults = faults.NewInjector(faults.Faults{})
	}
	return &Service{Options: o, metrics: newMetrics(o.Registry, o.Info)}
}

// Stop makes the service report that it is not ready, while it continues to answer.
func (s *Service) Stop() { s.stopping.Store(true) }

// Ready returns why the service cannot take requests now, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if s.stopping.Load() {
		return errors.New("the service is shutting down")
	}
	if err := s.Faults.Readiness(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.ReadyTimeout)
	defer cancel()
	if err := s.Store.Ready(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Store.Name(), err)
	}
	return nil
}

// allows reports whether the value of an Authorization header permits sending and reading records.
func (s *Service) allows(authorization string) bool {
	if s.Token == "" {
		return true
	}
	token, isBearer := strings.CutPrefix(authorization, "Bearer ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.Token))
	return isBearer && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

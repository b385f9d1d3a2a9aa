// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import "time"

// Clock is the time as a run sees it.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// After delivers once after d has gone by.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the clock of this machine.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// After implements Clock.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// steady makes of a clock that may be set, or stand still while a laptop sleeps, one that never goes back. Between two
// looks it advances by the wall clock or by the monotonic clock, whichever says more: when time was lost that way, samples are
// missing, which is safer than a span that only seems continuous.
type steady struct {
	clock Clock
	last  time.Time // as the clock said
	now   time.Time // as told
}

func newSteady(clock Clock) *steady {
	now := clock.Now()
	return &steady{clock: clock, last: now, now: now.Round(0)}
}

func (s *steady) read() time.Time {
	now := s.clock.Now()
	elapsed := max(now.Sub(s.last), now.Round(0).Sub(s.last.Round(0)), 0)
	s.last, s.now = now, s.now.Add(elapsed)
	return s.now
}

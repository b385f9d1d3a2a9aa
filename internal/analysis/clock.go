// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import "time"

// Clock is the clock of a run.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// After sends once after d has passed.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the clock of this machine.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// After implements Clock.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// steady turns a clock that may be set, or stop while a laptop sleeps, into one that never goes back. Between two readings it
// advances by the wall clock or the monotonic clock, the larger of the two. If time was lost, samples are missing, which is safer than
// a span that only seems continuous.
type steady struct {
	clock Clock
	last  time.Time // as read from the clock
	now   time.Time // as returned
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// FieldManager is the field manager of every write.
const FieldManager = "slipway"

// LeaseName is the name of the Lease in each namespace.
const LeaseName = "slipway"

// LabelManagedBy is the label, with FieldManager as its value, on each object that is Slipway's own.
// See https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/.
const LabelManagedBy = "app.kubernetes.io/managed-by"

// timing are the durations of the Lease protocol; tests shorten them.
type timing struct {
	takeover time.Duration // a Lease of another holder is taken after it was seen unchanged for this long
	renew    time.Duration // how often our own is renewed
	valid    time.Duration // how old the last renewal may be for mutations to continue; shorter than takeover
	retry    time.Duration // pause after a failed renewal, and between looks at another holder's Lease
	report   time.Duration // least time between two calls of waiting
	request  time.Duration // limit of one request
}

var defaultTiming = timing{
	takeover: 30 * time.Second,
	renew:    10 * time.Second,
	valid:    20 * time.Second,
	retry:    2 * time.Second,
	report:   10 * time.Second,
	request:  8 * time.Second,
}

// sharedLease is the Lease of one namespace as all operations of this process share it.
type sharedLease struct {
	// turn lets one operation at a time take or give back. It is a channel so that waiting for it can be given up.
	turn    chan struct{}
	current *session
}

// session is one unbroken time of holding a Lease, from taking it to giving it back or losing it.
type session struct {
	lock   leaseLock
	shared *sharedLease
	users  int // protected by shared.turn

	stop    context.CancelFunc
	stopped chan struct{}

	mu      sync.Mutex
	news    chan struct{} // closed at the end of each renewal
	renewed time.Time     // when the last successful renewal was sent
	failure error         // of the renewals since then
	lost    error         // for good
}

// Lease is this Terraform run's right to mutate one namespace: the Kubernetes Lease "slipway" in it. All operations of
// one Terraform run (holder: its process, parent pid, start time, host) share it, counted; others wait.
type Lease struct {
	session  *session
	released sync.Once
}

// HoldTimeout is how long Hold should be given for an operation with this timeout: never less than it takes to see that a holder
// has died, with a margin. With a shorter wait no apply would ever get past a run that was killed, since each apply starts its own watch.
func HoldTimeout(operation time.Duration) time.Duration {
	return max(operation, defaultTiming.takeover*3/2)
}

func (s *sharedLease) lock(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s.turn <- struct{}{}:
		return nil
	}
}

func (s *sharedLease) unlock() { <-s.turn }

// Release gives the Lease back when the last user of it in this process releases it. It works although the operation's
// context has ended. Releasing twice does nothing. An error means that others have to wait until the Lease runs out.
func (l *Lease) Release(ctx context.Context) error {
	var err error
	l.released.Do(func() { err = l.session.release(ctx) })
	return err
}

func (s *session) release(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.shared.lock(ctx); err != nil {
		return err
	}
	defer s.shared.unlock()
	s.users--
	if s.users > 0 {
		return nil
	}
	if s.shared.current == s {
		s.shared.current = nil
	}
	s.stop()
	<-s.stopped
	if s.lostFor() != nil {
		return nil
	}
	if err := s.lock.give(ctx); err != nil {
		return fmt.Errorf("giving back the Lease %s/%s: %w", s.lock.namespace, LeaseName, err)
	}
	return nil
}

// Lost returns a *LostError when another run has taken the Lease, or somebody has deleted it. A Lease that could not be renewed in time
// is not lost: it becomes valid again when the API server answers, unless another run has taken it meanwhile.
func (l *Lease) Lost() error { return l.session.lostFor() }

// Await waits while the Lease could not be renewed in time, until it is valid again. It returns the error of Valid when the Lease is
// lost, when ctx ends, or when the Lease has run out for long.
func (l *Lease) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*l.session.lock.timing.takeover)
	defer cancel()
	for {
		news := l.session.nextRenewal()
		err := l.session.valid()
		if err == nil || l.session.lostFor() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-news:
		}
	}
}

// nextRenewal is closed when the next renewal has ended, well or not.
func (s *session) nextRenewal() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.news == nil {
		s.news = make(chan struct{})
	}
	return s.news
}

// Valid returns a *LostError when the Lease was lost, or when its last successful renewal is older than 20 s by the wall
// clock or the monotonic clock.
func (l *Lease) Valid() error { return l.session.valid() }

// Holder is this run's identity, as written into the Lease.
func (l *Lease) Holder() string { return l.session.lock.holder }

func (s *session) valid() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return s.lost
	}
	// Go's monotonic clock stops while a machine sleeps, and the wall clock can be set: the larger age counts.
	now := time.Now()
	age := max(now.Sub(s.renewed), now.Round(0).Sub(s.renewed.Round(0)))
	if age <= s.lock.timing.valid {
		return nil
	}
	cause := s.failure
	if cause == nil {
		cause = errors.New("this machine was asleep, or too busy")
	}
	return &LostError{Namespace: s.lock.namespace, Cause: fmt.Errorf("the last renewal was %s ago: %w", age.Round(time.Second), cause)}
}

func (s *session) lostFor() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// renew runs until the session is stopped or the Lease is finally lost. It repeats a failed renewal, since the Lease becomes
// valid again when no other holder has taken it meanwhile.
func (s *session) renew(ctx context.Context) {
	defer close(s.stopped)
	pause := s.lock.timing.renew
	for {
		if sleep(ctx, pause) != nil {
			return
		}
		sent := time.Now()
		err := s.lock.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		var lost *LostError
		s.mu.Lock()
		switch {
		case err == nil:
			s.renewed, s.failure, pause = sent, nil, s.lock.timing.renew
		case errors.As(err, &lost):
			s.lost = err
		default:
			s.failure, pause = err, s.lock.timing.retry
		}
		gone := s.lost != nil
		if s.news != nil {
			close(s.news)
			s.news = nil
		}
		s.mu.Unlock()
		if gone {
			return
		}
	}
}

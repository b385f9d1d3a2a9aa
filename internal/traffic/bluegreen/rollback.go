// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// rollbackTimeout is how long a rollback may take once the time of the operation is over.
const rollbackTimeout = 2 * time.Minute

// rollback acts on what stops an apply.
type rollback struct{ session *session }

// before acts on what stopped an apply before the switch: an abort is a failure, all else is left to the next apply.
func (r rollback) before(err error) error {
	byHand, aborted := errors.AsType[*abortedError](err)
	if !aborted {
		return err
	}
	return r.refuse(byHand.verdict(), false)
}

// after acts on what stopped an apply after the switch and before its analysis.
func (r rollback) after(err error) error {
	s := r.session
	if byHand, aborted := errors.AsType[*abortedError](err); aborted {
		return r.refuse(byHand.verdict(), true)
	}
	if s.op.Interrupted() {
		return fmt.Errorf("analyzing %s after the switch: %w", s.spec.Active, err) // the next apply continues
	}
	return r.begin(failure{color: s.spec.Active, service: s.target.Service, after: true, reason: err.Error()})
}

// refuse acts on a verdict that does not accept.
func (r rollback) refuse(verdict analysis.Verdict, after bool) error {
	s := r.session
	color, service := s.spec.Active, s.target.Service
	if verdict.Action == analysis.Hold {
		s.state.analyzeAnew()
		return errors.Join(errInconclusive(color, service, s.service.color, after, verdict.Reason), s.saveAfterward())
	}
	f := failure{color: color, service: service, after: after, reason: verdict.Reason, verdict: verdict, live: s.service.color}
	var quarantine *Quarantine
	var unknown error // the rollback does not wait for the name of what failed
	if verdict.Outcome == analysis.Failed {
		var content string
		if content, unknown = r.content(); unknown == nil {
			f.until = time.Now().Add(s.spec.Quarantine).UTC().Truncate(time.Second)
			quarantine = &Quarantine{Color: color, Content: content, Policy: s.spec.Policy, Reason: verdict.Reason, Until: f.until}
		}
		s.stale = append(s.stale, record.AnnotationAbort, record.AnnotationQuarantine)
	}
	s.state.fail(quarantine, s.spec.RetryToken)
	if after {
		return errors.Join(r.begin(f), unknown)
	}
	return errors.Join(errFailed(f, false), s.saveAfterward(), unknown)
}

// content names the version that has failed.
func (r rollback) content() (string, error) {
	s := r.session
	ctx, cancel := s.op.Afterward(0)
	defer cancel()
	return s.colors().content(ctx, s.spec.Active)
}

// begin makes what was live before live again, under a time of its own.
func (r rollback) begin(f failure) error {
	s := r.session
	ctx, cancel := s.op.Afterward(rollbackTimeout)
	defer cancel()
	s.op.Say("%s failed: switching Service %s back to %s", f.color, f.service, previousText(s.state.Previous))
	if err := r.restore(ctx, operation.WhileHeld); err != nil {
		return errors.Join(errFailed(f, false), err)
	}
	f.live = s.service.color
	return errFailed(f, true)
}

// restore restores what was live before the switch, unless it has no ready pods.
func (r rollback) restore(ctx context.Context, writes operation.Writes) error {
	s, client, w := r.session, r.session.op.Gated, r.session.waiter()
	w.abort = nil
	if writes == operation.WhileHeld {
		client = s.op.Durable
		w.interrupted = func() bool { return false } // its time is its own
	}
	ready, err := s.colors().ready(ctx, s.state.Previous)
	if err != nil {
		return err
	}
	if ready == 0 {
		s.state.analyzeAnew()
		return errors.Join(errPreviousDown(s.target.Service, s.state.Target, previousText(s.state.Previous)), s.save(ctx, client))
	}
	s.state.rollBack()
	if err := s.save(ctx, client); err != nil {
		return err
	}
	if s.service.route != nil && writes == operation.WhileHeld {
		// The router that was made for the operation may not write any more.
		durable, err := s.op.Dynamic(writes)
		if err != nil {
			return err
		}
		if err := s.service.readRoute(ctx, durable, s.target); err != nil {
			return err
		}
	}
	if err := s.service.set(ctx, client, s.target, s.state.Previous); err != nil {
		return err
	}
	if s.state.Previous != nil {
		if err := s.inEffect(ctx, w, *s.state.Previous); err != nil {
			return err
		}
	}
	s.state.rolledBack(s.service.color)
	return s.save(ctx, client)
}

func previousText(color *string) string {
	if color == nil {
		return "no color"
	}
	return *color
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// rollbackTimeout is how long a rollback may take once the time of the operation is over.
const rollbackTimeout = 5 * time.Minute

// session is one operation on a split while it holds the Lease.
type session struct {
	op      *operation.Operation
	target  Target
	options Options
	// router may write as long as the operation's context has not ended, durable as long as the Lease is held.
	router, durable route.Router
	stored          *stored
}

// Apply divides requests as wanted: step by step, each with ready pods and analyzed. What fails is rolled back at once. It
// resumes what an interrupted apply has left. Errors: *pods.ServiceMissingError, *CapacityError, explained errors that need no
// type, those of operation.Begin, record.Read, record.Stored.Check and route.Router.
func Apply(ctx context.Context, target Target, spec Spec, options Options) (_ *Result, err error) {
	if spec.Quarantine <= 0 {
		spec.Quarantine = DefaultQuarantine
	}
	result := &Result{}
	s, err := beginSession(ctx, target, options, false)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.op.Finish()) }()
	result.ClusterUID = s.op.ClusterUID
	if err := s.open(); err != nil {
		return result, err
	}
	if err := s.stored.Check(options.Claim); err != nil {
		return result, err
	}
	p := s.progression(spec)
	if p.seen, err = s.router.Read(s.op.Context()); err != nil {
		return result, err
	}
	if err := options.Planned.check(target.Name, s.router.Object(), p.state, spec.split(), p.seen); err != nil {
		result.Split = &p.seen.Split
		return result, err
	}
	if len(p.seen.Drift) > 0 {
		s.op.Say("repairing what others changed: %s", strings.Join(p.seen.Drift, "; "))
	}
	err = p.run(s.op.Context())
	after, stop := s.op.Afterward(0)
	defer stop()
	seen, readErr := s.durable.Read(after)
	if readErr == nil {
		result.Split = &seen.Split
	}
	return result, err
}

// Remove sends all requests to the stable track, as its capacity allows, and then removes what is ours. forgotten says that the
// split belongs to another resource, so that nothing was changed. Errors: as from Apply.
func Remove(ctx context.Context, target Target, options Options) (forgotten bool, err error) {
	s, err := beginSession(ctx, target, options, true)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.op.Finish()) }()
	if s.op.Gone {
		return false, nil
	}
	if err := s.open(); err != nil {
		return false, err
	}
	run := s.op.Context()
	if s.stored.Exists() && s.stored.InstanceID() != options.Claim.InstanceID {
		return true, nil
	}
	if seen, readErr := s.router.Read(run); target.Adopt != "" && readErr == nil && !seen.Managed {
		return true, s.stored.Remove(run, s.op.Gated) // imported, and never taken over
	}
	gone, err := s.withdraw()
	if err != nil {
		return false, err
	}
	if !gone {
		if err := s.router.Restore(run); err != nil {
			return false, err
		}
	}
	return false, s.stored.Remove(run, s.op.Gated)
}

func beginSession(ctx context.Context, target Target, options Options, mayBeGone bool) (*session, error) {
	op, err := operation.Begin(ctx, operation.Options{
		Cluster: target.Cluster, Handle: target.Handle, ClusterUID: options.ClusterUID, Subject: "canary " + target.Name,
		Timeout: options.Timeout, Progress: options.Progress, MayBeGone: mayBeGone,
	})
	if err != nil {
		return nil, err
	}
	return &session{op: op, target: target, options: options}, nil
}

// open makes the routers and reads the record.
func (s *session) open() (err error) {
	for writes, into := range map[operation.Writes]*route.Router{operation.WhileItRuns: &s.router, operation.WhileHeld: &s.durable} {
		client, err := s.op.Dynamic(writes)
		if err != nil {
			return err
		}
		if *into, err = s.target.router(client, s.options.Claim); err != nil {
			return err
		}
	}
	s.stored, err = record.Read[state](s.op.Context(), s.op.Reads, s.target.place())
	return err
}

// aborted reads the abort annotation from the record.
func (s *session) aborted(ctx context.Context) (reason string, aborted bool, err error) {
	return record.Aborted(ctx, s.op.Reads, s.target.place())
}

// progression is what moves the requests.
func (s *session) progression(spec Spec) *progression {
	content := s.stored.Content
	if content == nil {
		content = &state{}
	}
	content.Route = s.target.Route
	reader := s.target.tracks(s.op.Reads)
	p := &progression{
		name: s.target.Name, spec: spec, state: content, cleared: s.stored.Cleared(), reached: nothing, clock: analysis.SystemClock{},
		router: s.router, capacity: reader.capacity, content: reader.content, abort: s.aborted, say: s.op.Say, interrupted: s.op.Interrupted,
		save: func(ctx context.Context, consumed ...string) error {
			return s.stored.Save(ctx, s.op.Gated, content, s.options.Claim.InstanceID, consumed...)
		},
	}
	if spec.Analyze != nil {
		p.analyze = func(ctx context.Context, since time.Time) (analysis.Verdict, error) {
			lister, err := reader.lister(ctx)
			if err != nil {
				return analysis.Verdict{}, err
			}
			return spec.Analyze(ctx, Watched{Pods: lister, Split: p.seen.Split, Since: since, Abort: s.aborted, Lost: s.op.Lost})
		}
	}
	p.rollback = func() (*progression, context.Context, context.CancelFunc) {
		back := *p
		back.router, back.abort = s.durable, nil
		back.interrupted = func() bool { return false } // its time is its own
		back.save = func(ctx context.Context, consumed ...string) error {
			return s.stored.Save(ctx, s.op.Durable, content, s.options.Claim.InstanceID, consumed...)
		}
		ctx, cancel := s.op.Afterward(rollbackTimeout)
		return &back, ctx, cancel
	}
	return p
}

// withdraw takes the requests from the canary before the route goes; gone says that there is no route to be restored any more.
func (s *session) withdraw() (gone bool, err error) {
	run := s.op.Context()
	p := s.progression(Spec{})
	p.abort = nil
	p.seen, err = s.router.Read(run)
	_, kindMissing := errors.AsType[*route.KindMissingError](err)
	_, routeMissing := errors.AsType[*route.MissingError](err)
	switch {
	case kindMissing, routeMissing:
		return true, nil
	case err != nil:
		return false, err
	case !p.seen.Managed || !p.seen.Split.Raises(route.Split{}):
		return false, nil
	}
	ready, err := p.capacity(run)
	_, serviceMissing := errors.AsType[*pods.ServiceMissingError](err)
	if serviceMissing || err == nil && ready.Stable.Ready == 0 && ready.Canary.Ready == 0 {
		return false, nil // Nobody can answer, wherever requests go.
	}
	if err != nil {
		return false, err
	}
	if ready.Stable.Ready == 0 {
		return false, errStableDown(p.name, p.seen.Split, route.Split{}, ready.Stable)
	}
	return false, p.move(run, route.Split{})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// session is one operation on a Service while it holds the Lease.
type session struct {
	op      *operation.Operation
	target  Target
	spec    Spec
	options Options

	stored  *stored
	state   *state
	service *liveService
	reached reached
	// serving and content are known once the color is prepared.
	serving bool
	content string
	// stale are annotations that the next save takes away.
	stale []string
}

// Apply makes spec.Active live: pods ready, analyzed on the preview Service, selector, endpoints, analyzed again. What fails
// after the switch is switched back at once. It resumes what an interrupted apply has left. Errors: *pods.ServiceMissingError,
// *route.ForeignError (the preview Service), explained errors that need no type, those of operation.Begin, record.Read,
// record.Stored.Check and route.Router.
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
	result.ClusterUID, s.spec = s.op.ClusterUID, spec
	if err := s.open(); err != nil {
		return result, err
	}
	result.Active = s.service.color
	if err := s.asPlanned(); err != nil {
		return result, err
	}
	err = s.run()
	result.Active = s.service.color
	return result, err
}

// Remove takes the color out of the live Service's selector, and removes the preview Service and the record. All pods stay, and so does a
// route. forgotten says that the record belongs to another resource, so that nothing was removed. Errors: those of operation.Begin and
// record.Read, *route.ConflictError, others as from cluster.Classify.
func Remove(ctx context.Context, target Target, options Options) (forgotten bool, err error) {
	s, err := beginSession(ctx, target, options, true)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.op.Finish()) }()
	if s.op.Gone {
		return false, nil
	}
	run := s.op.Context()
	if s.stored, err = record.Read[state](run, s.op.Reads, target.place()); err != nil || !s.stored.Exists() {
		return false, err
	}
	if s.stored.InstanceID() != options.Claim.InstanceID {
		return true, nil
	}
	if err := s.release(run); err != nil {
		return false, err
	}
	if err := s.preview().remove(run); err != nil {
		return false, err
	}
	return false, s.stored.Remove(run, s.op.Gated)
}

func beginSession(ctx context.Context, target Target, options Options, mayBeGone bool) (*session, error) {
	op, err := operation.Begin(ctx, operation.Options{
		Cluster: target.Cluster, Handle: target.Handle, ClusterUID: options.ClusterUID, Subject: "blue-green switch " + target.Service,
		Timeout: options.Timeout, Progress: options.Progress, MayBeGone: mayBeGone,
	})
	if err != nil {
		return nil, err
	}
	return &session{op: op, target: target, options: options, reached: nothing}, nil
}

// open reads the record and the live Service.
func (s *session) open() (err error) {
	run := s.op.Context()
	if s.stored, err = record.Read[state](run, s.op.Reads, s.target.place()); err != nil {
		return err
	}
	if err := s.stored.Check(s.options.Claim); err != nil {
		return err
	}
	if s.state = s.stored.Content; s.state == nil {
		s.state = &state{}
	}
	var client dynamic.Interface
	if s.target.Route != nil {
		if client, err = s.op.Dynamic(operation.WhileItRuns); err != nil {
			return err
		}
	}
	s.service, err = readService(run, s.op.Reads, client, s.target)
	return err
}

// asPlanned refuses a switch that the plan did not show, because others made another color live since. What is live already as
// wanted, and a rollback that was interrupted, overwrite nothing of others.
func (s *session) asPlanned() error {
	planned, color := s.options.Planned, s.service.color
	if planned == nil || color == *planned || color == s.spec.Active || s.state.Phase == rollingBack {
		return nil
	}
	return errSwitchedSincePlan(s.target.Service, *planned, color, s.spec.Active)
}

func (s *session) situation() situation {
	return situation{
		recorded: *s.state, color: s.service.color, wanted: s.spec.Active, reached: s.reached,
		before: s.spec.Before != nil, after: s.spec.After != nil,
		serving: s.serving, knownGood: s.state.knownGood(s.spec.Active, s.content),
	}
}

// run brings about what is wanted from whatever state there is: it decides, does one action and decides again.
func (s *session) run() error {
	for {
		next := decide(s.situation())
		if next == done {
			return nil
		}
		if err := s.act(s.op.Context(), next); err != nil {
			return err
		}
	}
}

// act does one action.
func (s *session) act(ctx context.Context, next action) error {
	switch next {
	case finishRollback:
		s.op.Say("resuming the rollback that an earlier apply had begun")
		return rollback{session: s}.restore(ctx, operation.WhileItRuns)
	case prepare:
		return s.prepare(ctx)
	case analyzePreview:
		return s.analyzePreview(ctx)
	case makeLive:
		return s.makeLive(ctx)
	case confirm:
		return s.confirm(ctx)
	case analyzeLive:
		return s.analyzeLive(ctx)
	case finish:
		return s.finish(ctx)
	case done:
	}
	return nil
}

func (s *session) colors() colors {
	reader := pods.Reader{Cluster: s.target.Cluster, Client: s.op.Reads, Namespace: s.target.Handle.Namespace}
	return colors{reader: reader, target: s.target, common: s.service.common}
}

func (s *session) preview() preview { return preview{client: s.op.Gated, target: s.target} }

// waiter waits until the operation ends, or a user aborts it.
func (s *session) waiter() waiter {
	return waiter{
		colors: s.colors(), service: s.target.Service, live: s.service.describe, say: s.op.Say, interrupted: s.op.Interrupted, abort: s.aborted,
	}
}

// aborted reads the abort annotation from the record.
func (s *session) aborted(ctx context.Context) (reason string, aborted bool, err error) {
	return record.Aborted(ctx, s.op.Reads, s.target.place())
}

// save records the state.
func (s *session) save(ctx context.Context, client kubernetes.Interface) error {
	consumed := s.stale
	if s.state.Quarantine == nil {
		consumed = append(slices.Clone(consumed), record.AnnotationQuarantine)
	}
	if err := s.stored.Save(ctx, client, s.state, s.options.Claim.InstanceID, consumed...); err != nil {
		return err
	}
	s.stale = nil
	return nil
}

// saveAfterward records the state although the operation's time may be over.
func (s *session) saveAfterward() error {
	ctx, cancel := s.op.Afterward(0)
	defer cancel()
	return s.save(ctx, s.op.Durable)
}

// prepare brings the wanted color to where it can take over: on the preview Service, scaled as far as the live one needs, and rolled out.
func (s *session) prepare(ctx context.Context) error {
	wanted := s.spec.Active
	if err := s.preview().choose(ctx, s.service, wanted); err != nil {
		return err
	}
	// The record carries the abort annotation from now on. One from before this apply is not about it.
	s.stale = append(s.stale, record.AnnotationAbort)
	if err := s.save(ctx, s.op.Gated); err != nil {
		return err
	}
	if err := s.getReady(ctx, wanted); err != nil {
		return rollback{session: s}.before(err)
	}
	var err error
	if s.content, err = s.colors().content(ctx, wanted); err != nil {
		return err
	}
	if q := s.state.quarantined(wanted, s.content, s.spec, s.stored.Cleared(), time.Now()); q != nil {
		return errQuarantined(wanted, s.target.Service, s.service.color, *q)
	}
	if s.serving, err = s.servedByOthers(ctx, wanted); err != nil {
		return err
	}
	s.reached = prepared
	return nil
}

// getReady scales a color up and waits until it alone is behind the preview Service.
func (s *session) getReady(ctx context.Context, color string) error {
	of := s.colors()
	behind, err := of.reader.Endpoints(ctx, s.target.Service)
	if err != nil {
		return err
	}
	serving := len(behind)
	if s.service.route != nil { // both colors are behind the Service
		other := Opposite(color)
		if serving, err = of.ready(ctx, &other); err != nil {
			return err
		}
	}
	found, err := of.deployments(ctx, color)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		if err := s.waiter().appear(ctx, color); err != nil {
			return err
		}
	}
	least, err := s.scaler().up(ctx, found, s.state.Scaled[color], max(1, serving))
	if err != nil {
		return err
	}
	if err := s.waiter().rolledOut(ctx, color); err != nil {
		return err
	}
	return s.waiter().alone(ctx, s.target.Preview, color, least)
}

func (s *session) scaler() scaler {
	return scaler{cluster: s.target.Cluster, client: s.op.Gated, namespace: s.target.Handle.Namespace, say: s.op.Say}
}

// servedByOthers reports that pods of another color have the traffic.
func (s *session) servedByOthers(ctx context.Context, color string) (bool, error) {
	if s.service.route != nil && s.service.has {
		return s.service.color != color, nil
	}
	_, _, others, err := s.colors().behind(ctx, s.target.Service, color)
	return len(others) > 0, err
}

// analyzePreview analyzes the wanted color before anything is switched.
func (s *session) analyzePreview(ctx context.Context) error {
	s.op.Say("analyzing %s on Service %s", s.spec.Active, s.target.Preview)
	verdict, err := s.spec.Before(ctx, s.watched(time.Time{}))
	if err != nil {
		return fmt.Errorf("analyzing %s before the switch: %w", s.spec.Active, err)
	}
	if verdict.Action != analysis.Accept {
		return rollback{session: s}.refuse(verdict, false)
	}
	s.reached = accepted
	return nil
}

func (s *session) watched(since time.Time) Watched {
	return Watched{Pods: s.colors().lister(s.spec.Active), Since: since, Abort: s.aborted, Lost: s.op.Lost}
}

// makeLive switches to the wanted color.
func (s *session) makeLive(ctx context.Context) error {
	wanted := s.spec.Active
	if err := s.waiter().aborted(ctx); err != nil {
		return rollback{session: s}.before(err)
	}
	if !s.serving {
		// Nobody's traffic moves: there is nothing to compare with and nothing to go back to.
		s.op.Say("%s is served by no other pods: its selector is set to %s", s.target.Service, wanted)
	}
	s.state.begin(wanted, s.service.previous(wanted), s.serving)
	if err := s.save(ctx, s.op.Gated); err != nil {
		return err
	}
	s.op.Say("switching Service %s from %s to %s", s.target.Service, s.service.describe(), wanted)
	if err := s.service.set(ctx, s.op.Gated, s.target, &wanted); err != nil {
		return err
	}
	s.reached = live
	return nil
}

// confirm waits until only the new pods are behind the Service. What a route does is known to proxies alone: then it is enough
// that the color has a ready pod.
func (s *session) confirm(ctx context.Context) error {
	if s.reached == nothing {
		s.op.Say("resuming the switch to %s that an earlier apply had begun", s.spec.Active)
	}
	err := s.inEffect(ctx, s.waiter(), s.spec.Active)
	if err == nil {
		err = s.waiter().aborted(ctx)
	}
	if err != nil {
		return rollback{session: s}.after(err)
	}
	if s.state.VerifyingSince.IsZero() {
		s.state.verify(time.Now().UTC())
		if err := s.save(ctx, s.op.Gated); err != nil {
			return err
		}
	}
	s.reached = confirmed
	return nil
}

func (s *session) inEffect(ctx context.Context, w waiter, color string) error {
	if s.service.route != nil {
		return w.ready(ctx, color)
	}
	return w.alone(ctx, s.target.Service, color, 1)
}

// analyzeLive analyzes the wanted color with the traffic of the Service.
func (s *session) analyzeLive(ctx context.Context) error {
	s.op.Say("analyzing %s with the traffic of Service %s", s.spec.Active, s.target.Service)
	verdict, err := s.spec.After(ctx, s.watched(s.state.VerifyingSince))
	switch {
	case err != nil && s.op.TimedOut():
		return rollback{session: s}.begin(failure{
			color: s.spec.Active, service: s.target.Service, after: true,
			reason: fmt.Sprintf("There was no verdict within the timeout of %s.", s.op.Timeout()),
		})
	case err != nil:
		return fmt.Errorf("analyzing %s after the switch: %w", s.spec.Active, err)
	case verdict.Action != analysis.Accept:
		return rollback{session: s}.refuse(verdict, true)
	}
	s.reached = passed
	return nil
}

// finish is the end of everything that went well.
func (s *session) finish(ctx context.Context) error {
	wanted, of := s.spec.Active, s.colors()
	content, err := of.content(ctx, wanted)
	if err != nil {
		return err
	}
	if s.reached != nothing { // it became live just now
		s.state.SwitchedAt = time.Now().UTC().Truncate(time.Second)
		if s.state.PreviousContent, err = of.content(ctx, Opposite(wanted)); err != nil {
			return err
		}
	}
	s.state.finish(wanted, content, s.spec.RetryToken)
	if err := s.preview().choose(ctx, s.service, Opposite(wanted)); err != nil {
		return err
	}
	if err := s.save(ctx, s.op.Gated); err != nil {
		return err
	}
	s.reached = complete
	return s.scaleDown(ctx)
}

// scaleDown scales the previous color to zero once it was kept for long enough. An autoscaler leaves a Deployment at zero alone.
func (s *session) scaleDown(ctx context.Context) error {
	if !s.state.due(s.spec.Keep, time.Now()) {
		return nil
	}
	color := Opposite(s.service.color)
	found, err := s.colors().idle(ctx, color, s.state.PreviousContent)
	if err != nil || len(found) == 0 {
		return err
	}
	before := map[string]int32{}
	for _, d := range found {
		before[d.Name] = replicasOf(d)
	}
	s.state.scaledDown(color, before)
	if err := s.save(ctx, s.op.Gated); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		s.op.Say("scaling Deployment %s of %s to 0, which is kept for %s", name, color, *s.spec.Keep)
		if err := s.scaler().scale(ctx, name, 0); err != nil {
			return err
		}
	}
	return nil
}

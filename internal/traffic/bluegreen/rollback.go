// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

// refuse acts on a verdict that does not accept.
func (b *blueGreen) refuse(verdict analysis.Verdict, content string, after bool) error {
	if verdict.Action == analysis.Hold {
		b.stored.record.VerifyingSince = time.Time{} // it is judged anew
		return errors.Join(&HeldError{Color: b.spec.Active, Service: b.target.Service, After: after, Live: b.service.color, Reason: verdict.Reason},
			b.saveAfterwards())
	}
	failed := &FailedError{Color: b.spec.Active, Service: b.target.Service, After: after, Reason: verdict.Reason, Verdict: verdict, Live: b.service.color}
	if verdict.Outcome == analysis.Failed {
		failed.Until = time.Now().Add(b.spec.Quarantine).UTC().Truncate(time.Second)
		b.stored.record.Quarantine = &Quarantine{
			Color: b.spec.Active, Content: content, Policy: b.spec.Policy, Reason: verdict.Reason, Until: failed.Until,
		}
		b.stored.record.cleared = false
	}
	b.stored.record.Retry = b.spec.Retry
	if after {
		return b.goBack(failed)
	}
	return errors.Join(failed, b.saveAfterwards())
}

// goBack switches back, under a time of its own, and returns why.
func (b *blueGreen) goBack(failed *FailedError) error {
	ctx, cancel := b.afterwards()
	defer cancel()
	b.say("%s failed: switching Service %s back to %s", b.spec.Active, b.target.Service, orNone(b.stored.record.Previous))
	if err := b.takeBack(ctx, b.durable); err != nil {
		return errors.Join(failed, err)
	}
	failed.Live, failed.Back = b.service.color, true
	return failed
}

// takeBack restores the selector from before the switch, unless the pods that it chooses are not ready.
func (b *blueGreen) takeBack(ctx context.Context, client kubernetes.Interface) error {
	record := &b.stored.record
	ready, err := b.readyPods(ctx, record.Previous)
	if err != nil {
		return err
	}
	if ready == 0 {
		record.VerifyingSince = time.Time{} // the next apply judges anew
		return errors.Join(&NoWayBackError{Service: b.target.Service, Color: record.Target, Previous: orNone(record.Previous)}, b.save(ctx, client))
	}
	record.Phase = phaseReturning
	if err := b.save(ctx, client); err != nil {
		return err
	}
	if b.route != nil {
		// The router that was made for the operation may not write any more.
		durable, err := gatedDynamic(context.WithoutCancel(ctx), b.target.Cluster, b.lease)
		if err != nil {
			return err
		}
		if err := b.lookAtRoute(ctx, durable); err != nil {
			return err
		}
	}
	if err := b.set(ctx, client, record.Previous); err != nil {
		return err
	}
	if record.Previous != nil {
		if err := b.inEffect(ctx, *record.Previous); err != nil {
			return err
		}
	}
	record.Phase, record.VerifyingSince, record.Moved = phaseSteady, time.Time{}, false
	record.Target = b.service.color
	return b.save(ctx, client)
}

// undecided says that there is no verdict: the next apply goes on.
func (b *blueGreen) undecided(err error, when string) error {
	return fmt.Errorf("judging %s %s: %w", b.spec.Active, when, err)
}

func (b *blueGreen) saveAfterwards() error {
	ctx, cancel := b.afterwards()
	defer cancel()
	return b.save(ctx, b.durable)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

const (
	// waitPoll is the time between two looks at what is waited for.
	waitPoll = 300 * time.Millisecond
	// abortEvery is the least time between two looks for the abort annotation.
	abortEvery = time.Second
	// appearWithin is how long a color may have neither a pod nor a Deployment. What depends on no other controller is there by then, and
	// wrong labels are reported soon.
	appearWithin = 20 * time.Second
)

// waiter waits for pods of a color.
type waiter struct {
	colors colors
	// service is the live Service, live what is live in words.
	service string
	live    func() string
	say     func(format string, values ...any)
	// interrupted says that Terraform was interrupted, and not that the time is over.
	interrupted func() bool
	// abort may be nil: then nobody can abort the wait.
	abort analysis.Abort
}

// until looks until missing is empty. Errors: *abortedError; an explained one when the time is over.
func (w waiter) until(ctx context.Context, what string, look func() (missing string, err error)) error {
	last := ""
	var asked time.Time
	var silence error // why the API server did not answer the last look
	for {
		if time.Since(asked) >= abortEvery {
			asked = time.Now()
			if err := w.aborted(ctx); err != nil {
				return err
			}
		}
		missing, err := look()
		if err == nil && missing == "" {
			return nil
		}
		if err != nil && ctx.Err() == nil && !cluster.IsTransient(err) {
			return err
		}
		if silence = nil; cluster.IsOutage(err) {
			silence = err
		}
		switch {
		case err != nil && ctx.Err() != nil:
			missing = "" // the end of the time, and not what was seen
		case err != nil:
			missing = err.Error() + "."
		}
		if missing != "" && missing != last {
			w.say("waiting until %s. %s", what, missing)
			last = missing
		}
		select {
		case <-time.After(waitPoll):
		case <-ctx.Done():
			if w.interrupted() {
				return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
			}
			if silence != nil {
				return fmt.Errorf("waiting until %s: %w", what, silence) // It says nothing about the color.
			}
			return errNotReady(what, last, w.service, w.live())
		}
	}
}

// aborted looks for the abort annotation. A record that cannot be read is read again later.
func (w waiter) aborted(ctx context.Context) error {
	if w.abort == nil {
		return nil
	}
	if reason, aborted, err := w.abort(ctx); err == nil && aborted {
		return &abortedError{reason: reason}
	}
	return nil
}

// alone waits until a Service has at least so many ready pods of a color, and no other pods.
func (w waiter) alone(ctx context.Context, service, color string, least int) error {
	return w.until(ctx, fmt.Sprintf("Service %s has %d ready pods of %s and no others", service, least, color), func() (string, error) {
		own, count, others, err := w.colors.behind(ctx, service, color)
		if err != nil {
			return "", err
		}
		if len(others) == 0 && count >= least {
			return "", nil
		}
		text := fmt.Sprintf("It has %d of them", count)
		if len(others) > 0 {
			text += ", and others: " + strings.Join(others, ", ")
		}
		return text + "." + pods.NotReady(own), nil
	})
}

// appear waits until a color has a pod or a Deployment.
func (w waiter) appear(ctx context.Context, color string) error {
	latest := time.Now().Add(appearWithin)
	return w.until(ctx, "there is a pod of "+color, func() (string, error) {
		own, err := w.colors.pods(ctx, color)
		if err != nil || len(own) > 0 {
			return "", err
		}
		found, err := w.colors.deployments(ctx, color)
		if err != nil || len(found) > 0 {
			return "", err
		}
		if time.Now().Before(latest) {
			return "There is no pod with these labels: " + pods.LabelText(w.colors.labels(&color)) + ".", nil
		}
		there, err := w.colors.reader.LabelSets(ctx, w.colors.common)
		if err != nil {
			return "", err
		}
		return "", errNoPods(color, w.service, w.colors.labels(&color), there)
	})
}

// rolledOut waits until no Deployment of a color has pods of an earlier template.
func (w waiter) rolledOut(ctx context.Context, color string) error {
	return w.until(ctx, "the rollout of "+color+" is complete", func() (string, error) {
		found, err := w.colors.deployments(ctx, color)
		if err != nil {
			return "", err
		}
		for _, d := range found {
			wanted := int32(1)
			if d.Spec.Replicas != nil {
				wanted = *d.Spec.Replicas
			}
			if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < wanted || d.Status.Replicas > d.Status.UpdatedReplicas {
				own, err := w.colors.pods(ctx, color)
				return fmt.Sprintf("Deployment %s has %d of %d pods updated, and %d in total.%s",
					d.Name, d.Status.UpdatedReplicas, wanted, d.Status.Replicas, pods.NotReady(own)), err
			}
		}
		return "", nil
	})
}

// ready waits until a color has a ready pod.
func (w waiter) ready(ctx context.Context, color string) error {
	return w.until(ctx, color+" has a ready pod", func() (string, error) {
		own, err := w.colors.pods(ctx, color)
		if err != nil {
			return "", err
		}
		for i := range own {
			if pods.Ready(&own[i]) {
				return "", nil
			}
		}
		return "It has none." + pods.NotReady(own), nil
	})
}

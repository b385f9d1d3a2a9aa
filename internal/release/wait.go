// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// pollEvery is the pace of all waits: a request per second and kind.
const pollEvery = time.Second

// podsEvery is the pace at which the pods of a workload that is not ready are looked at.
const podsEvery = 3 * time.Second

// watched is one object that is waited for.
type watched struct {
	info *resource.Info
	// live is what was seen last, nil where it is not there.
	live   *unstructured.Unstructured
	status status
	// since is when each kind of trouble was first seen without a break.
	since map[string]time.Time
	// restarts are those that containers had when they were first looked at. Pods that crashed before may well run now, with
	// another ConfigMap for example. Nil before the first look.
	restarts map[string]int32
	// podsAt is when the pods were last looked at, and podTrouble what was found.
	podsAt     time.Time
	podTrouble *trouble
}

// status is what one look at an object says.
type status struct {
	ready bool
	// unseen says that the object's controller has not looked at it since it was written: what its pods say is old.
	unseen bool
	text   string
	// trouble is something that usually does not heal.
	trouble *trouble
}

// trouble counts as failure once it has lasted grace.
type trouble struct {
	kind  string
	text  string
	grace time.Duration
}

// notReadyError ends a wait early: what was seen does not heal.
type notReadyError struct {
	cause string
	// kind is that of the trouble.
	kind    string
	hook    bool
	reports []ObjectReport
}

func (e *notReadyError) Error() string { return e.cause }

// waitReady waits until all objects of a release are ready in one and the same look.
func (o *operation) waitReady(resources kube.ResourceList) error {
	var all []*watched
	for _, info := range resources {
		if isWaitable(info) {
			all = append(all, newWatched(info))
		}
	}
	o.doing("waiting for " + object.Count(len(all)) + " to become ready")
	return o.wait(all, false)
}

// waitHooks waits until the Jobs and Pods among hooks have ended well. Other kinds are done when they are made.
func (o *operation) waitHooks(resources kube.ResourceList) error {
	var all []*watched
	for _, info := range resources {
		if kind := info.Mapping.GroupVersionKind.Kind; kind == "Job" || kind == "Pod" {
			all = append(all, newWatched(info))
		}
	}
	return o.wait(all, true)
}

func newWatched(info *resource.Info) *watched {
	return &watched{info: info, since: map[string]time.Time{}, status: status{text: "not looked at yet"}}
}

func (o *operation) wait(all []*watched, hook bool) error {
	if len(all) == 0 {
		return o.ended()
	}
	o.pending = nil
	open := all
	for {
		if err := o.ended(); err != nil {
			return o.stopWaiting(err, open, hook)
		}
		if err := o.look(open, hook); err != nil {
			if o.ctx.Err() != nil {
				continue
			}
			return err
		}
		open = notReady(open)
		if len(open) == 0 {
			// Objects that became ready early may not be so any more.
			if len(all) > 1 {
				if err := o.look(all, hook); err != nil {
					if o.ctx.Err() != nil {
						open = all
						continue
					}
					return err
				}
			}
			if open = notReady(all); len(open) == 0 {
				return nil
			}
		}
		for _, w := range open {
			if t := w.overdue(); t != nil {
				reports := o.diagnose(open, w)
				return &notReadyError{cause: o.keyOf(w.info).Short() + ": " + t.text, kind: t.kind, hook: hook, reports: reports}
			}
			o.progress.say(string(o.keyOf(w.info)), o.secrets.Text("waiting for "+o.keyOf(w.info).Short()+": "+w.status.text))
		}
		pause(o.ctx, pollEvery)
	}
}

// stopWaiting looks a last time at what was waited for, unless somebody waits for us to end.
func (o *operation) stopWaiting(cause error, open []*watched, hook bool) error {
	if errors.Is(cause, errDeadline) {
		o.pending, o.blamed = o.diagnose(open, nil), !hook && o.blames(open)
		if hook {
			return fmt.Errorf("waiting for a hook: %w", cause)
		}
	}
	return cause
}

func notReady(all []*watched) []*watched {
	var open []*watched
	for _, w := range all {
		if !w.status.ready {
			open = append(open, w)
		}
	}
	return open
}

// overdue returns trouble that has lasted too long.
func (w *watched) overdue() *trouble {
	t := w.status.trouble
	if t == nil {
		clear(w.since)
		return nil
	}
	for kind := range w.since {
		if kind != t.kind {
			delete(w.since, kind)
		}
	}
	first, seen := w.since[t.kind]
	if !seen {
		first = time.Now()
		w.since[t.kind] = first
	}
	if time.Since(first) >= t.grace {
		return t
	}
	return nil
}

// look reads objects and judges them. An API server that does not answer for a while is waited for like everything else.
func (o *operation) look(all []*watched, hook bool) error {
	err := o.fetch(all)
	if err == nil {
		for _, w := range all {
			if err = o.judge(w, hook); err != nil {
				break
			}
		}
	}
	if err == nil {
		return nil
	}
	var unreachable *cluster.UnreachableError
	if errors.As(o.target.Cluster.Classify(err), &unreachable) {
		for _, w := range all {
			w.status = status{text: "the API server does not answer: " + explain.Library(err)}
		}
		return nil
	}
	return o.target.Cluster.Classify(err)
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

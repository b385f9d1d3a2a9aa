// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestCapacity_NamesTheSideThatIsMissing(t *testing.T) {
	up, down := TrackCapacity{Ready: 2, Pods: 2}, TrackCapacity{Pods: 2, Lacking: "no ready endpoints of Service a are pod b (CrashLoopBackOff)"}
	for name, test := range map[string]struct {
		capacity       Capacity
		from, to, want int
		says           string
	}{
		"canary on the way up":      {Capacity{Stable: up, Canary: down}, 0, 10, 0, "the canary has 0 pods ready and needs 1 for 10% of the requests: no ready endpoints of Service a are pod b"},
		"stable on the way up":      {Capacity{Stable: down, Canary: up}, 0, 10, 0, "the stable side has 0 pods ready and needs 1 for 90% of the requests: no ready"},
		"stable on the way down":    {Capacity{Stable: down, Canary: up}, 100, 0, 100, "the stable side has 0 pods ready and needs 2 for 100% of the requests: no ready"},
		"canary where it is":        {Capacity{Stable: up, Canary: down}, 10, 10, 10, "the canary has 0 pods ready and needs 1 for 10% of the requests"},
		"stable where it is":        {Capacity{Stable: down, Canary: up}, 10, 10, 10, "the stable side has 0 pods ready and needs 1 for 90% of the requests"},
		"all to the one that is up": {Capacity{Stable: down, Canary: up}, 0, 100, 100, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, missing := test.capacity.reach(test.from, test.to, false); got != test.want || !strings.HasPrefix(missing, test.says) || (missing == "") != (test.says == "") {
				t.Errorf("got %d, %q, want %d, %q", got, missing, test.want, test.says)
			}
		})
	}
}

func TestWalk_LeavesARouteThatItDidNotMove(t *testing.T) {
	down := Capacity{Stable: TrackCapacity{Ready: 2, Pods: 2}, Canary: TrackCapacity{Pods: 2}}
	for _, late := range []bool{false, true} {
		w, router := newWalk(Split{Weight: 5}, CanarySpec{Weight: 10}, down)
		over := &overdue{Context: t.Context()}
		looks := 0
		w.capacity = func(ctx context.Context) (Capacity, error) {
			looks++
			if looks <= 2 { // the second one is that of the first move
				over.over = !late && looks == 2
				return down, nil
			}
			over.over = true // within a look
			return Capacity{}, fmt.Errorf("listing the pods: %w", ctx.Err())
		}
		wantError[*CapacityError](t, w.run(over), "Split app was not moved to 10%", "The canary has 0 pods ready and needs 1")
		if len(router.set) > 0 || w.record.Phase != canarySteady || w.record.Baseline != nil || (looks > 2) != late {
			t.Errorf("the weights %v were written after %d looks; the record says %+v", router.set, looks, w.record)
		}
	}
}

// overdue is a context whose time ends when the test says so.
type overdue struct {
	context.Context
	over bool
}

func (o *overdue) Err() error {
	if o.over {
		return context.DeadlineExceeded
	}
	return o.Context.Err()
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package pods

import (
	"strings"
	"testing"
)

func TestCapacity_NamesTheTrackThatIsMissing(t *testing.T) {
	up, down := TrackCapacity{Ready: 2, Pods: 2},
		TrackCapacity{Pods: 2, Lacking: "no ready endpoints of Service a are pod b (CrashLoopBackOff)"}
	for name, test := range map[string]struct {
		capacity       Capacity
		from, to, want int
		says           string
	}{
		"canary on the way up": {
			Capacity{Stable: up, Canary: down}, 0, 10, 0,
			"the canary has 0 pods ready and needs 1 for 10% of the requests: no ready endpoints of Service a are pod b",
		},
		"stable on the way up": {
			Capacity{Stable: down, Canary: up}, 0, 10, 0,
			"the stable track has 0 pods ready and needs 1 for 90% of the requests: no ready",
		},
		"stable on the way down": {
			Capacity{Stable: down, Canary: up}, 100, 0, 100,
			"the stable track has 0 pods ready and needs 2 for 100% of the requests: no ready",
		},
		"canary where it is": {
			Capacity{Stable: up, Canary: down}, 10, 10, 10, "the canary has 0 pods ready and needs 1 for 10% of the requests",
		},
		"stable where it is": {
			Capacity{Stable: down, Canary: up}, 10, 10, 10,
			"the stable track has 0 pods ready and needs 1 for 90% of the requests",
		},
		"all to the one that is up": {Capacity{Stable: down, Canary: up}, 0, 100, 100, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, missing := test.capacity.Reach(test.from, test.to, false); got != test.want || !strings.HasPrefix(missing, test.says) ||
				(missing == "") != (test.says == "") {
				t.Errorf("got %d, %q, want %d, %q", got, missing, test.want, test.says)
			}
		})
	}
}

func both(n int) Capacity {
	return Capacity{Stable: TrackCapacity{Ready: n, Pods: n}, Canary: TrackCapacity{Ready: n, Pods: n}}
}

func TestCapacity_Reach(t *testing.T) {
	track := func(ready, pods int, grows bool) TrackCapacity {
		return TrackCapacity{Ready: ready, Pods: pods, Grows: grows}
	}
	for name, test := range map[string]struct {
		capacity       Capacity
		from, to, want int
		headers        bool
	}{
		"equal tracks":                     {both(2), 10, 100, 100, false},
		"nothing ready":                    {Capacity{Stable: track(2, 2, false)}, 0, 10, 0, false},
		"not all ready":                    {Capacity{Stable: track(4, 4, false), Canary: track(1, 4, false)}, 0, 100, 25, false},
		"stable shrank":                    {Capacity{Stable: track(2, 2, true), Canary: track(8, 8, true)}, 100, 0, 75, false},
		"headers without a ready canary":   {Capacity{Stable: track(2, 2, false)}, 0, 0, 0, true},
		"smaller by what it has, no scale": {Capacity{Stable: track(8, 8, false), Canary: track(2, 2, false)}, 0, 100, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, missing := test.capacity.Reach(test.from, test.to, test.headers)
			if got != test.want || (missing == "") != (got == test.to && !test.headers) {
				t.Errorf("got %d (%s), want %d", got, missing, test.want)
			}
		})
	}
}

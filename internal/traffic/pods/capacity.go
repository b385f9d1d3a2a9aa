// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package pods

import "fmt"

// TrackCapacity is what one track can serve with.
type TrackCapacity struct {
	// Ready pods are endpoints of the track's Service. Pods are all that are not ending, ready or not.
	Ready, Pods int
	// Grows says that an autoscaler adds pods when there is load.
	Grows bool
	// Lacking says which pods are not ready, or that there are none; empty where all are ready.
	Lacking string
}

// Capacity is that of both tracks.
type Capacity struct {
	Stable, Canary TrackCapacity
}

// demand is how many pods all traffic needs, by the track that has most of it now.
func (c Capacity) demand(weight int) int {
	ready, share := c.Stable.Ready, 100-weight
	if weight > 50 {
		ready, share = c.Canary.Ready, weight
	}
	return min(ready*100/share, c.Stable.Ready+c.Canary.Ready)
}

// needed is how many ready pods a track needs for a share in percent. A track that nobody scales serves with what it has.
func (t TrackCapacity) needed(share, demand int) int {
	if share <= 0 {
		return 0
	}
	out := max(1, (share*demand+99)/100)
	if !t.Grows {
		out = min(out, max(1, t.Pods))
	}
	return out
}

// short is the track that cannot carry a weight, starting at "from", with its share in percent and the ready pods that it needs.
// Its name is
// empty where both can.
func (c Capacity) short(from, weight int) (name string, track TrackCapacity, share, needs int) {
	demand := c.demand(from)
	stable, canary := c.Stable.needed(100-weight, demand), c.Canary.needed(weight, demand)
	switch {
	case weight > from:
		stable = min(stable, 1) // it only loses requests
	case weight < from:
		canary = 0 // what it keeps, it had before
	default:
		stable, canary = min(stable, 1), min(canary, 1)
	}
	stableIsShort, canaryIsShort := c.Stable.Ready < stable, c.Canary.Ready < canary
	switch {
	case canaryIsShort && (weight > from || !stableIsShort):
		return "the canary", c.Canary, weight, canary
	case stableIsShort:
		return "the stable track", c.Stable, 100 - weight, stable
	}
	return "", TrackCapacity{}, 0, 0
}

// Reach returns the weight nearest to "to" that the tracks can carry, starting at "from", which is returned where there is none;
// missing then says what is not ready. headers says that the canary gets requests whatever the weight is.
func (c Capacity) Reach(from, to int, headers bool) (weight int, missing string) {
	if headers && c.Canary.Ready == 0 {
		return from, "the canary has no ready pod, and headers send requests to it" + c.Canary.Because()
	}
	step := 1
	if to > from {
		step = -1
	}
	name, track, share, needs := c.short(from, to)
	if name == "" {
		return to, ""
	}
	for weight = to; weight != from; weight += step {
		if short, _, _, _ := c.short(from, weight); short == "" {
			break
		}
	}
	return weight, fmt.Sprintf("%s has %s ready and needs %d for %d%% of the requests%s", name, count(track.Ready), needs, share,
		track.Because())
}

// Because names the pods that are not ready, after a colon. It is empty where all are ready.
func (t TrackCapacity) Because() string {
	if t.Lacking == "" {
		return ""
	}
	return ": " + t.Lacking
}

func count(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// divergence is one object that is not what the plan showed.
type divergence struct {
	Object object.Key
	// Text says what differs, without secrets: "spec.replicas 2 → 3", "was not planned", "was planned and is not rendered".
	Text string
}

func (d divergence) String() string { return string(d.Object) + ": " + d.Text }

// diverges compares a rendering with the entries that a plan showed, both masked. Volatile objects are left out: the plan
// said that they may come out differently. The rest must agree in both directions, so the rendering must be made with the
// options of the plan (CapabilitiesMayChange, OperationMayChange), or what was unknown there counts as unplanned here.
func (r *Rendering) diverges(planned map[object.Key]string) []divergence {
	var out []divergence
	for key, want := range planned {
		if _, volatile := r.Volatile[key]; volatile {
			continue
		}
		got, there := r.Objects[key]
		switch {
		case !there:
			out = append(out, divergence{key, "was planned and is not rendered"})
		case got != want:
			out = append(out, differingLeaves(key, want, got)...)
		}
	}
	for key := range r.Objects {
		_, known := planned[key]
		_, volatile := r.Volatile[key]
		if !known && !volatile {
			out = append(out, divergence{key, "was not planned"})
		}
	}
	slices.SortFunc(out, func(a, b divergence) int { return strings.Compare(a.String(), b.String()) })
	return out
}

func differingLeaves(key object.Key, want, got string) []divergence {
	before, errBefore := object.DecodeNumbers(want)
	after, errAfter := object.DecodeNumbers(got)
	if errBefore != nil || errAfter != nil {
		return []divergence{{key, "is not what was planned"}}
	}
	var out []divergence
	for _, c := range object.Diff(before, after) {
		out = append(out, divergence{key, fmt.Sprintf("%s %s → %s", c.Path, object.LeafText(c.Before), object.LeafText(c.After))})
	}
	if len(out) == 0 {
		out = append(out, divergence{key, "is not what was planned"})
	}
	return out
}

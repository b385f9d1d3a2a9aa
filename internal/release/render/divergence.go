// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// divergence is one object that is not what the plan showed.
type divergence struct {
	Object object.Key
	// Text says what differs, without secrets: "spec.replicas 2 → 3", "was not planned", "was planned and is not rendered".
	Text string
}

func (d divergence) String() string { return string(d.Object) + ": " + d.Text }

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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"strings"
	"time"
)

// mostEvidence is how many samples an error shows.
const mostEvidence = 10

// Evidence returns the newest samples that decided and the queries that they come from, each after a line break. It is empty where no rule
// decided.
func (v Verdict) Evidence() string {
	t := v.Trigger
	if t == nil || len(t.Samples) == 0 {
		return ""
	}
	var out strings.Builder
	for _, s := range t.Samples[max(0, len(t.Samples)-mostEvidence):] {
		text := s.Evidence
		if text == "" {
			text = s.Value.String()
		}
		fmt.Fprintf(&out, "\n  %s %s %s: %s", s.At.UTC().Format(time.RFC3339), s.Check, s.Kind, text)
	}
	for _, line := range t.Queries() {
		out.WriteString("\n  " + line)
	}
	return out.String()
}

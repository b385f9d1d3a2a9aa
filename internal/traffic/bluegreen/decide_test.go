// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "testing"

// Each state, and the one action that follows.
func TestDecide(t *testing.T) {
	t.Parallel()
	to := func(p phase, target string) state { return state{Phase: p, Target: target, Moved: true} }
	for name, test := range map[string]struct {
		situation situation
		want      action
	}{
		"no record":                         {situation{color: "", wanted: Blue, reached: nothing}, prepare},
		"at rest":                           {situation{recorded: to(steady, Blue), color: Blue, wanted: Green, reached: nothing}, prepare},
		"at rest, as wanted":                {situation{recorded: to(steady, Blue), color: Blue, wanted: Blue, reached: nothing}, finish},
		"interrupted before the switch":     {situation{recorded: to(switching, Green), color: Blue, wanted: Green, reached: nothing}, prepare},
		"interrupted after the switch":      {situation{recorded: to(switching, Green), color: Green, wanted: Green, reached: nothing}, confirm},
		"interrupted while it was analyzed": {situation{recorded: to(verifying, Green), color: Green, wanted: Green, reached: nothing}, confirm},
		"interrupted, and the other color is wanted": {
			situation{recorded: to(verifying, Green), color: Green, wanted: Blue, reached: nothing}, prepare,
		},
		"rollback interrupted": {situation{recorded: to(rollingBack, Green), color: Green, wanted: Green, reached: nothing}, finishRollback},
		"rollback interrupted at its end": {
			situation{recorded: to(rollingBack, Green), color: Blue, wanted: Blue, reached: nothing}, finish,
		},
		"prepared, without an analysis": {situation{color: Blue, wanted: Green, reached: prepared, serving: true}, makeLive},
		"prepared":                      {situation{color: Blue, wanted: Green, reached: prepared, serving: true, before: true}, analyzePreview},
		"prepared, and known to be good": {
			situation{color: Blue, wanted: Green, reached: prepared, serving: true, knownGood: true, before: true}, makeLive,
		},
		"prepared, and nobody is served": {situation{color: Blue, wanted: Green, reached: prepared, before: true}, makeLive},
		"accepted":                       {situation{color: Blue, wanted: Green, reached: accepted, serving: true, before: true}, makeLive},
		"live":                           {situation{recorded: to(switching, Green), color: Green, wanted: Green, reached: live}, confirm},
		"confirmed": {
			situation{recorded: to(verifying, Green), color: Green, wanted: Green, reached: confirmed, after: true}, analyzeLive,
		},
		"confirmed, without an analysis": {situation{recorded: to(verifying, Green), color: Green, wanted: Green, reached: confirmed}, finish},
		"confirmed, and nobody was served": {
			situation{recorded: state{Phase: verifying, Target: Green}, color: Green, wanted: Green, reached: confirmed, after: true}, finish,
		},
		"passed":   {situation{recorded: to(verifying, Green), color: Green, wanted: Green, reached: passed, after: true}, finish},
		"complete": {situation{recorded: to(steady, Green), color: Green, wanted: Green, reached: complete}, done},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decide(test.situation); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

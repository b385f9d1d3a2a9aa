// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDecide_HasOneActionForEachState(t *testing.T) {
	t.Parallel()
	states, actions := map[State]bool{}, map[Action]bool{}
	for _, tc := range []struct {
		name     string
		observed Observed
		state    State
		action   Action
	}{
		{"nothing is there", Observed{condition: absent}, Absent, Install},
		{"another client's record", Observed{Foreign: true}, Foreign, RefuseForeign},
		{"another client's, pending", Observed{Foreign: true, condition: pendingUpgrade}, Foreign, RefuseForeign},
		{"removed by Helm, history kept", Observed{condition: uninstalled}, Uninstalled, Install},
		{"a removal that ended half way", Observed{condition: uninstalling}, RemovalCutOff, FinishRemoval},

		{"our first install, just begun", Observed{condition: pendingInstall, Ours: true, Age: time.Second}, PendingInstall, MarkFailed},
		{"our upgrade, just begun", Observed{condition: pendingUpgrade, Ours: true, Age: time.Second}, PendingUpgrade, MarkFailed},
		{"ours, though others are left alone", Observed{condition: pendingUpgrade, Ours: true, LeavePending: true}, PendingUpgrade, MarkFailed},
		{"of another tool, young", Observed{condition: pendingUpgrade, Age: time.Minute}, PendingOfAnother, RefusePending},
		{"of another tool, old", Observed{condition: pendingUpgrade, Age: time.Hour}, PendingUpgrade, MarkFailed},
		{"an install of another tool, old", Observed{condition: pendingInstall, Age: time.Hour}, PendingInstall, MarkFailed},
		{"of another tool, old, left alone", Observed{condition: pendingInstall, Age: time.Hour, LeavePending: true}, PendingOfAnother,
			RefusePending},
		{"pending, its hooks have ended", Observed{condition: pendingUpgrade, Ours: true, HooksEnded: true}, PendingUpgrade, MarkFailed},

		{"a failed first install", Observed{condition: failedInstall}, FailedInstall, AwaitHooks},
		{"a failed first install, its hooks have ended", Observed{condition: failedInstall, HooksEnded: true}, ReadyToReinstall, Install},
		{"a failed upgrade", Observed{condition: failedUpgrade}, FailedUpgrade, AwaitHooks},
		{"a failed upgrade, its hooks have ended", Observed{condition: failedUpgrade, HooksEnded: true}, ReadyToUpgrade, Upgrade},

		{"other content", Observed{condition: deployed}, Outdated, Upgrade},
		{"other content, not verified", Observed{condition: deployed, VerificationDue: true}, Outdated, Upgrade},
		{"other content, its verification cut off", Observed{condition: deployed, VerificationDue: true, VerificationBegun: true}, Outdated,
			Upgrade},
		{"the same content", Observed{condition: deployed, Same: true}, Unchanged, Keep},
		{"the same content, with a new policy", Observed{condition: deployed, Same: true, VerificationDue: true}, Unverified, Verify},
		{"the same content, its verification cut off",
			Observed{condition: deployed, Same: true, VerificationDue: true, VerificationBegun: true}, VerificationCutOff, Verify},
		{"other content, while a rollback was cut off", Observed{condition: failedUpgrade, RollingBack: true}, FailedUpgrade, AwaitHooks},

		{"quarantined", Observed{condition: deployed, Quarantined: true}, Quarantined, RefuseQuarantined},
		{"quarantined, and failed", Observed{condition: failedUpgrade, Quarantined: true}, Quarantined, RefuseQuarantined},
		{"quarantined, and its rollback cut off", Observed{condition: deployed, Quarantined: true, RollingBack: true}, RollbackCutOff,
			FinishRollback},
		{"quarantined, and its rollback pending", Observed{condition: pendingUpgrade, Ours: true, Quarantined: true, RollingBack: true},
			RollbackCutOff, FinishRollback},
	} {
		if state, action := tc.observed.State(), Decide(tc.observed); state != tc.state || action != tc.action {
			t.Errorf("%s: %s → %s, want %s → %s", tc.name, state, action, tc.state, tc.action)
		}
		states[tc.state], actions[tc.action] = true, true
	}
	for _, state := range constantsOf(t, "State") {
		if !states[State(state)] {
			t.Errorf("no case has the state %q", state)
		}
	}
	for _, action := range constantsOf(t, "Action") {
		if !actions[Action(action)] {
			t.Errorf("no case has the action %q", action)
		}
	}
}

// Whatever is observed has a state, and one action.
func TestDecide_LeavesNothingOut(t *testing.T) {
	t.Parallel()
	for c := absent; c <= deployed; c++ {
		for bits := range 1 << 9 {
			on := func(n int) bool { return bits>>n&1 == 1 }
			o := Observed{
				Foreign: on(0), condition: c, Ours: on(1), LeavePending: on(2), HooksEnded: on(3), Same: on(4),
				VerificationDue: on(5), VerificationBegun: on(6), Quarantined: on(7), RollingBack: on(8),
			}
			for _, o.Age = range []time.Duration{0, time.Hour} {
				if Decide(o) == "" {
					t.Errorf("%+v has no action", o)
				}
			}
		}
	}
}

// constantsOf reads the constants of a type from decide.go.
func constantsOf(t *testing.T, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "decide.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		of, isName := spec.Type.(*ast.Ident)
		text, isText := spec.Values[0].(*ast.BasicLit)
		if isName && isText && of.Name == name {
			value, err := strconv.Unquote(text.Value)
			if err != nil || strings.TrimSpace(value) == "" {
				t.Fatal(text.Value, err)
			}
			found[value] = true
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("decide.go has no constants of type %s", name)
	}
	return slices.Sorted(maps.Keys(found))
}

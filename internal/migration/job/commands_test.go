// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

func tool(change ...func(*Commands)) *Commands {
	c := &Commands{
		Version: "v1.1.0", Image: "registry.company.com/tool:v1.1.0", Check: []string{"tool", "check"}, Run: []string{"tool", "migrate"},
		Validate: []string{"tool", "verify"}, Rollback: []string{"tool", "back"}, Env: map[string]string{"A": "1"},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// done is the progress when a tool has done all, with versions that were there before.
func done(c *Commands, before ...string) Progress {
	now := Progress{Images: map[string]string{}}
	for _, version := range before {
		now.Images[version] = "image of " + version
		now.Version = version
	}
	return c.Progress(now)
}

func TestPending_IsWhatHasNotSucceededYet(t *testing.T) {
	all := []Phase{PhaseCheck, PhaseRun, PhaseValidate}
	version := func(v string) func(*Commands) { return func(c *Commands) { c.Version = v } }
	for name, test := range map[string]struct {
		change func(*Commands)
		now    Progress
		want   []Phase
	}{
		"nothing has run":            {nil, Progress{}, all},
		"all is done":                {nil, done(tool()), nil},
		"another version":            {version("v1.2.0"), done(tool()), all},
		"a version without an order": {version("8a51c0e"), done(tool()), all},
		"another image":              {func(c *Commands) { c.Image = "other" }, done(tool()), all},
		"another command":            {func(c *Commands) { c.Run = []string{"tool migrate"} }, done(tool()), all},
		"another variable":           {func(c *Commands) { c.Env = map[string]string{"A": "2"} }, done(tool()), all},
		"another Secret":             {func(c *Commands) { c.SecretEnv = map[string]SecretKey{"P": {Name: "s", Key: "k"}} }, done(tool()), all},
		"another check":              {func(c *Commands) { c.Check = nil }, done(tool()), nil},
		"another validation":         {func(c *Commands) { c.Validate = []string{"tool", "other"} }, done(tool()), []Phase{PhaseValidate}},
		"no validation any more":     {func(c *Commands) { c.Validate = nil }, done(tool()), nil},
		"validation has not passed": {
			nil, Progress{Version: "v1.1.0", Passed: map[Phase]string{PhaseRun: tool().runDigest()}}, []Phase{PhaseValidate},
		},
		"a run that failed": {nil, Progress{Version: "v1.1.0", Images: map[string]string{"v1.1.0": ""}}, all},
		"without checks":    {func(c *Commands) { c.Check, c.Validate = nil, nil }, Progress{}, []Phase{PhaseRun}},
		"an earlier version, allowed": {
			func(c *Commands) { c.Version, c.AllowRollback = "v1.0.0", true }, done(tool(), "v1.0.0"),
			[]Phase{PhaseCheck, PhaseRollback, PhaseValidate},
		},
		"an earlier commit, allowed": {
			func(c *Commands) { c.Version, c.AllowRollback = "cafe", true }, done(tool(), "cafe"),
			[]Phase{PhaseCheck, PhaseRollback, PhaseValidate},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := tool()
			if test.change != nil {
				test.change(c)
			}
			got, err := c.Pending(test.now)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestPending_GoesBackOnlyWhereItIsAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Commands)
		want   RollbackError
	}{
		"not allowed": {func(c *Commands) { c.Version = "v1.0.0" }, RollbackError{From: "v1.1.0", To: "v1.0.0"}},
		"without a command": {
			func(c *Commands) { c.Version, c.Rollback, c.AllowRollback = "v1.0.0", nil, true },
			RollbackError{From: "v1.1.0", To: "v1.0.0", NoCommand: true},
		},
		"to an unknown one": {
			func(c *Commands) { c.Version, c.AllowRollback = "v0.9.0", true },
			RollbackError{From: "v1.1.0", To: "v0.9.0", Unknown: true},
		},
		"of a release without": {
			func(c *Commands) { c.Version, c.AllowRollback = "1.0.9", true },
			RollbackError{From: "v1.1.0", To: "1.0.9", Unknown: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tool(test.change).Pending(done(tool(), "v1.0.0"))
			got, ok := errors.AsType[*RollbackError](err)
			if !ok || *got != test.want {
				t.Errorf("got %+v, want %+v", err, test.want)
			}
		})
	}
}

func TestRecord_GoesForwardAndBack(t *testing.T) {
	var r commandRecord
	first := tool(func(c *Commands) { c.Version = "v1.0.0" })
	second := tool(func(c *Commands) { c.Image = "registry.company.com/tool:v2" })
	note := map[string]string{record.AnnotationIrreversibleSince: "then"}
	r.begin(first.work(PhaseRun, Progress{}))
	r.end(first.work(PhaseRun, Progress{}), true, nil, note)
	if r.Begun != nil || !maps.Equal(r.progress().Passed, map[Phase]string{PhaseRun: first.runDigest()}) {
		t.Errorf("after the first run: %+v", r)
	}
	r.end(first.work(PhaseValidate, r.progress()), true, nil, nil)
	if got, want := r.progress(), first.Progress(Progress{}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	before := r.progress()
	r.end(second.work(PhaseRun, before), true, nil, nil)
	r.end(second.work(PhaseValidate, before), false, new(int32(3)), nil)
	if now := r.progress(); now.Version != "v1.1.0" || len(now.Images) != 2 || now.Passed[PhaseValidate] != "" ||
		*r.Last[PhaseValidate].ExitCode != 3 {
		t.Errorf("after a validation that failed: %+v", r)
	}
	// What failed half-way counts as not run, also for the version from before.
	third := tool(func(c *Commands) { c.Version = "v1.2.0" })
	r.end(third.work(PhaseRun, r.progress()), false, new(int32(1)), nil)
	if pending, err := second.Pending(r.progress()); err != nil || !slices.Contains(pending, PhaseRun) {
		t.Errorf("after a run that failed: %v %v", pending, err)
	}
	// A rollback is run by the image that knows it.
	back := tool(func(c *Commands) { c.Version, c.AllowRollback = "v1.0.0", true })
	work := back.work(PhaseRollback, r.progress())
	if work.image != second.Image || work.from != "v1.1.0" {
		t.Errorf("the rollback: %+v", work)
	}
	r.end(work, true, nil, nil)
	if now := r.progress(); now.Version != "v1.0.0" || len(now.Images) != 1 || r.irreversible()[record.AnnotationIrreversibleSince] != "then" {
		t.Errorf("after the rollback: %+v", r)
	}
	if pending, err := back.Pending(r.progress()); err != nil || !slices.Equal(pending, []Phase{PhaseValidate}) {
		t.Errorf("after the rollback: %v %v", pending, err)
	}
}

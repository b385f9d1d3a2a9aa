// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"testing"
)

func TestPlanFolder_LeavesOutTheBodyOfAPlan(t *testing.T) {
	const before = "Reading...\nTerraform will perform the following actions:\n"
	const after = "\x1b[1mPlan:\x1b[0m 2 to add\ncreating\n"
	want := before + "\n  (3 lines of plan are not shown here)\n\n" + after
	text := before + "\n  + a\n  + b\n" + after

	for _, size := range []int{1, 7, len(text)} {
		var got bytes.Buffer
		f := &planFolder{to: &got}
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got.String() != want {
			t.Errorf("in writes of %d bytes:\ngot  %q\nwant %q", size, got.String(), want)
		}
	}
}

func TestPlanFolder_KeepsTheResourceThatIsAskedFor(t *testing.T) {
	const text = "Terraform will perform the following actions:\n\n\x1b[1m  # a.release\x1b[0m will be created\n  + a\n\n" +
		"\x1b[1m  # a.split\x1b[0m will be updated\n  # (because)\n  ~ weight\n\n\x1b[1m  # a.other\x1b[0m will be created\n  + b\nPlan: 2\n"
	const want = "Terraform will perform the following actions:\n\x1b[1m  # a.split\x1b[0m will be updated\n  # (because)\n  ~ weight\n\n" +
		"\n  (6 lines of plan are not shown here)\n\nPlan: 2\n"
	var got bytes.Buffer
	if _, err := (&planFolder{to: &got, keep: ".split"}).Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got  %q\nwant %q", got.String(), want)
	}
}

func TestPlanFolder_PassesOnWhatHasNoPlan(t *testing.T) {
	const text = "No changes.\n\nPlan: is only a word here.\n"
	var got bytes.Buffer
	if _, err := (&planFolder{to: &got}).Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if got.String() != text {
		t.Errorf("got %q, want it unchanged", got.String())
	}
}

func TestCommand_IsShownAsAUserWouldTypeIt(t *testing.T) {
	c := command{
		program: "/cache/bin/tofu",
		args:    []string{"plan", "-var", `values={image={repository="r"}}`, "-var-file=clients/client-a/prod.tfvars"},
	}
	want := `tofu plan -var 'values={image={repository="r"}}' -var-file=clients/client-a/prod.tfvars`
	if got := c.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"strings"
	"testing"
)

const beforeDestroy = "lifecycle {\n    create_before_destroy = true\n  }"

// withoutCanary is a split that does not depend on the canary's release.
func withoutCanary(split string) string {
	return strings.Replace(split, ", slipway_release.canary]", "]", 1)
}

// The canary guide's own example, promoted by the guide's own steps: each in an apply, several in one, and after a mistake.
func TestGuide_CanaryIsPromotedAsWritten(t *testing.T) {
	sameWithEveryProgram(t)
	g := readGuide(t, "canary")
	// The pods of the tests have no sidecars: their gRPC clients take the route from istiod themselves.
	example := strings.Replace(hurry(g.blocks("terraform")[0]), "  headers ", "  data_plane = \"proxyless\"\n  headers ", 1)
	steps := g.section("Promotion").steps()
	if len(steps) != 4 {
		t.Fatalf("the promotion has %d steps: this test knows 4", len(steps))
	}
	all := g.follow(steps[0], example)
	none := g.follow(steps[2], all)
	// The states of the guide's steps as configurations.
	started := func(c tenant, stable, split string) string {
		return c.head() + c.track("stable", stable, "") + c.track("canary", "v1.2.0", beforeDestroy) + split
	}
	promoted := func(c tenant, split string) string {
		return c.head() + c.track("stable", "v1.2.0", "") + withoutCanary(split)
	}
	begin := func(t *testing.T) (tenant, *workspace) {
		c := newTenant(t)
		w := newWorkspace(t, map[string]string{"main.tf": started(c, "v1.1.1", example)})
		w.apply()
		w.write("main.tf", started(c, "v1.1.1", all))
		w.apply()
		if weight := c.liveWeight(t.Context()); weight != 100 {
			t.Fatalf("the canary has %d%%, want 100", weight)
		}
		return c, w
	}
	ended := func(t *testing.T, c tenant, w *workspace) {
		if weight := c.liveWeight(t.Context()); weight != 0 {
			t.Errorf("the canary has %d%%, want 0", weight)
		}
		if !c.canaryGone(t.Context()) {
			t.Error("the canary's release is left")
		}
		c.answersWith("v1.2.0")
		w.noChanges()
	}
	t.Run("an apply for each step", func(t *testing.T) {
		t.Parallel()
		c, w := begin(t)
		for _, main := range []string{started(c, "v1.2.0", all), started(c, "v1.2.0", none), promoted(c, none)} {
			w.write("main.tf", main)
			w.apply()
		}
		ended(t, c, w)
	})
	t.Run("steps 2 to 4 in one apply", func(t *testing.T) {
		t.Parallel()
		c, w := begin(t)
		w.write("main.tf", promoted(c, none))
		w.apply()
		ended(t, c, w)
	})
	t.Run("with the headers left, and then as the error says", func(t *testing.T) {
		t.Parallel()
		c, w := begin(t)
		left := g.follow("`weight = 0`", all)
		for _, attempt := range []string{"first", "second"} {
			w.write("main.tf", promoted(c, left))
			text := w.refused(strings.Fields(applyArgs)...)
			for _, part := range []string{
				"was not removed", "sends it the requests with its headers", "put it back", "remove the headers of the split",
			} {
				if !strings.Contains(text, part) {
					t.Errorf("the %s apply does not say %q:\n%s", attempt, part, text)
				}
			}
			if c.canaryGone(t.Context()) {
				t.Fatal("the canary's release was removed although it has requests")
			}
		}
		w.write("main.tf", started(c, "v1.2.0", none))
		w.apply()
		w.write("main.tf", promoted(c, none))
		w.apply()
		ended(t, c, w)
	})
}

// The guide's own example of a switch: from one release to two, to green, and back.
func TestGuide_BlueGreenSwitchesAsWritten(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	g := readGuide(t, "blue-green")
	example := hurry(g.blocks("terraform")[0])
	c := newTenant(t)
	blue, both := c.head()+c.track("blue", "v1.1.1", ""), c.head()+c.track("blue", "v1.1.1", "")+c.track("green", "v1.2.0", beforeDestroy)
	onBlue := g.follow("`active = \"blue\"`", example)
	onlyBlue := strings.Replace(onBlue, ", slipway_release.green]", "]", 1)
	w := newWorkspace(t, map[string]string{"main.tf": blue + onlyBlue})
	w.apply()
	c.wantSelected(releaseName, "blue")
	w.write("main.tf", both+onBlue)
	w.apply()
	w.write("main.tf", both+example)
	w.apply()
	c.wantSelected(releaseName, "green")
	c.answersWith("v1.2.0")
	w.noChanges()
	w.write("main.tf", c.head()+c.track("blue", "v1.2.0", "")+onlyBlue)
	w.apply()
	c.wantSelected(releaseName, "blue")
	w.noChanges()
}

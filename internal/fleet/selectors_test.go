// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckSelector_RefusesTagsThatNoEnvironmentHas(t *testing.T) {
	f, err := Read(t.Context(), small.write(t))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                          "",
		"stage=prod,ring=canary":    "",
		"client in (acme),!tier":    "",
		"rnig=canary":               `"rnig=canary" selects by rnig, and no environment has such a tag; did you mean ring?`,
		"stage=prod,rnig!=canary":   "did you mean ring?",
		"!teir":                     "did you mean tier?",
		"stage=prdo":                `selects stage prdo, and the fleet has no such stage; did you mean prod?`,
		"stage==":                   "there are dev, prod",
		"stage notin (dev,prd)":     "did you mean prod?",
		"wave=early":                "there are client, ring, stage, tier",
		"stage=prod,compliance=pci": "selects by compliance",
	} {
		selector, err := ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		err = f.CheckSelector(selector)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		var unknown *UnknownTagError
		var noStage *UnknownStageError
		if !errors.As(err, &unknown) && !errors.As(err, &noStage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestResolveAll_WarnsOfSelectorsOverUnknownTags(t *testing.T) {
	description := small["clients/fleet.yaml"]
	for old, replacement := range map[string]string{
		"{path: image.tag}":   "{path: image.tag, select: teir=gold}",
		"stages/{stage}.yaml": "stages/{stage}.yaml\", select: \"!stgae",
		"lists:":              "waves:\n  - {name: canary, select: rnig=canary}\n  - {name: rest}\nlists:",
	} {
		if !strings.Contains(description, old) {
			t.Fatalf("%q is not in the description", old)
		}
		description = strings.Replace(description, old, replacement, 1)
	}
	whole := resolveAll(t, small.with(files{"clients/fleet.yaml": description}).write(t))
	if len(whole.Resolved) != 5 {
		t.Errorf("%d environments have values", len(whole.Resolved))
	}
	found := map[string]string{}
	for _, finding := range whole.Findings {
		if finding.Rule == RuleSelector {
			if finding.Severity != SeverityWarning || finding.Line == 0 {
				t.Errorf("got %+v", finding)
			}
			what, text, _ := strings.Cut(finding.Text, ": ")
			found[what] = text
		}
	}
	for what, want := range map[string]string{
		"layer stage": "stage?", "required image.tag": "tier?", "wave canary": "ring?; a release reaches all environments together, in wave rest",
	} {
		if !strings.Contains(found[what], want) {
			t.Errorf("%s: got %q", what, found[what])
		}
	}
}

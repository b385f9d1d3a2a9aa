// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

func TestDryRun_ReportsWhatARevisionFromOutsideChanged(t *testing.T) {
	b := newBench(t)
	ours := dryRunChart(t, nil)
	previous := b.deployed(ours)
	b.helmUpgrade(dryRunChart(t, map[string]any{"image": "v9", "cpu": "200m"}))
	if quiet := b.dryRun(previous, ours); len(quiet.Overwrites) != 0 {
		t.Errorf("nothing differs from what was rendered last, and yet: %v", quiet.Overwrites)
	}
	result, err := dryrun.Run(t.Context(), b.target, previous, rendered(t, ours, b.options(false, 3)), dryrun.Options{Outside: true})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(result.Overwrites)
	for _, want := range []string{`.image "missing.invalid/app:v9" "missing.invalid/app:v1"`, `requests.cpu "200m" "100m"`} {
		if !strings.Contains(got, want) {
			t.Errorf("overwrites do not say %s: %s", want, got)
		}
	}
	if len(result.Refusals) != 0 || len(result.Overwrites) != 2 {
		t.Errorf("dry run: %+v", result)
	}
}

// A release that is renamed is replaced: the plan of the new one sees the objects of the old one, which goes first.
func TestDryRun_LeavesObjectsOfAnotherReleaseOfSlipwayToTheApply(t *testing.T) {
	b := newBench(t)
	spec := specOfFiles(t, map[string]string{"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\n"})
	b.mustApply(spec)
	renamed := b.target
	renamed.Name = "renamed"
	next := rendered(t, spec, render.Options{ReleaseName: "renamed", Namespace: b.namespace(), Install: true, Revision: 1})
	result, err := dryrun.Run(t.Context(), renamed, nil, next, dryrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Refusals) != 0 {
		t.Errorf("refused: %v", result.Refusals)
	}
	wantText(t, strings.Join(result.Skipped, "\n"), "ConfigMap/fixed", "release app of this environment has it")
}

func TestApply_RefusesTwoReleasesOfOneNameInOneRun(t *testing.T) {
	b := newBench(t)
	b.mustApply(with(t))
	b.uid = "" // a second create
	first := b.id
	_, err := b.apply(t.Context(), with(t, config("debug")), func(o *ApplyOptions) {
		o.InstanceID = "22222222-0000-0000-0000-000000000002"
		o.MadeInThisRun = func(id string) bool { return id == first }
	})
	wantError[*record.OwnerError](t, err)
	wantText(t, err.Error(), "Two resources of this configuration", "another name")
	if got := b.liveLevel(); got != "info" {
		t.Errorf("it was changed: %s", got)
	}
	b.wantEnd(1, "deployed", record.Deployed)
}

func TestObserveForCreate_RefusesAReleaseOfOthers(t *testing.T) {
	b := newBench(t)
	seen, err := ObserveForCreate(t.Context(), b.target, ownership.Taking{})
	if err != nil || !seen.Absent() {
		t.Fatalf("nothing is there, and yet: %+v, %v", seen, err)
	}
	b.foreignInstall(with(t), "app")
	_, err = ObserveForCreate(t.Context(), b.target, ownership.Taking{})
	wantError[*ownership.Error](t, err)
}

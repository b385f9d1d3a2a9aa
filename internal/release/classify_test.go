// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
)

// history is written as "superseded removed failed": the states of revisions 1, 2, 3, where "removed" is superseded after it was
// uninstalled.
func history(t *testing.T, states string) ([]revision, *storage.Storage) {
	t.Helper()
	releases := storage.Init(driver.NewMemory())
	var revisions []revision
	for i, state := range strings.Fields(states) {
		info := &helmrelease.Info{Status: helmrelease.Status(state)}
		if state == "removed" {
			info.Status, info.Deleted = helmrelease.StatusSuperseded, helmtime.Now()
		}
		if err := releases.Create(&helmrelease.Release{Name: "app", Namespace: "default", Version: i + 1, Info: info}); err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, revision{number: i + 1, status: info.Status})
	}
	return revisions, releases
}

func TestClassify_FindsOneActionForEachHistory(t *testing.T) {
	for _, tc := range []struct {
		states    string
		want      condition
		installs  bool
		next      int
		deployed  int
		attempted []int
	}{
		{"", absent, true, 1, 0, nil},
		{"deployed", deployed, false, 2, 1, nil},
		{"superseded deployed", deployed, false, 3, 2, nil},
		{"superseded", deployed, false, 2, 0, nil},
		{"failed", failedInstall, true, 2, 0, []int{1}},
		{"failed failed", failedInstall, true, 3, 0, []int{1, 2}},
		{"unknown", failedInstall, true, 2, 0, []int{1}},
		{"deployed failed", failedUpgrade, false, 3, 1, []int{2}},
		{"superseded failed", failedUpgrade, false, 3, 0, []int{2}},
		{"failed deployed failed failed", failedUpgrade, false, 5, 2, []int{3, 4}},
		{"pending-install", pendingInstall, true, 2, 0, []int{1}},
		{"failed pending-install", pendingInstall, true, 3, 0, []int{1, 2}},
		{"failed pending-upgrade", pendingInstall, true, 3, 0, []int{1, 2}},
		{"deployed pending-upgrade", pendingUpgrade, false, 3, 1, []int{2}},
		{"superseded failed pending-rollback", pendingUpgrade, false, 4, 0, []int{2, 3}},
		{"uninstalling", uninstalling, true, 1, 0, nil},
		{"superseded uninstalled", uninstalled, true, 3, 0, nil},
		{"removed failed", failedInstall, true, 3, 0, []int{2}},
		{"removed deployed failed", failedUpgrade, false, 4, 2, []int{3}},
	} {
		t.Run(tc.states, func(t *testing.T) {
			revisions, releases := history(t, tc.states)
			got, err := classify(revisions, releases, "app")
			if err != nil {
				t.Fatal(err)
			}
			if got.condition != tc.want || got.installs() != tc.installs || got.next() != tc.next || got.deployed != tc.deployed ||
				!slices.Equal(got.attempted, tc.attempted) {
				t.Errorf("got %s, installs %v, next %d, deployed %d, attempted %v", got.condition, got.installs(), got.next(), got.deployed,
					got.attempted)
			}
		})
	}
}

func TestClassify_RefusesAStatusThatNobodyWrites(t *testing.T) {
	revisions, releases := history(t, "sleeping")
	if _, err := classify(revisions, releases, "app"); err == nil || !strings.Contains(err.Error(), "sleeping") {
		t.Errorf("error: %v", err)
	}
}

func TestDecide_RecoversByOwnerPolicyAndAge(t *testing.T) {
	for _, tc := range []struct {
		name     string
		mine     bool
		policy   bool
		age      time.Duration
		recovers bool
	}{
		{"ours, just made", true, false, time.Second, true},
		{"ours, though others are not to be recovered", true, true, time.Second, true},
		{"of others, young", false, false, time.Minute, false},
		{"of others, old", false, false, time.Hour, true},
		{"of others, old, not to be recovered", false, true, time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Observed{condition: pendingUpgrade, Ours: tc.mine, LeavePending: tc.policy, Age: tc.age}
			if action := Decide(o); (action == MarkFailed) != tc.recovers {
				t.Errorf("action: %s", action)
			}
		})
	}
}

func TestSurplus_KeepsWhatMayBeNeeded(t *testing.T) {
	for _, tc := range []struct {
		states string
		limit  int
		kept   []int
		want   []int
	}{
		{"deployed", 1, nil, nil},
		{"superseded superseded deployed", 1, nil, []int{1, 2}},
		{"superseded superseded deployed", 2, nil, []int{1}},
		{"superseded failed failed failed deployed", 2, []int{1, 5}, []int{2, 3, 4}},
		{"superseded superseded deployed failed failed", 1, []int{3, 2}, []int{1, 4}},
		{"pending-install superseded deployed", 1, nil, []int{2}},
		{"superseded superseded superseded superseded superseded superseded superseded superseded superseded superseded superseded deployed", 0,
			nil, []int{1, 2}},
	} {
		t.Run(tc.states+" to "+strconv.Itoa(tc.limit), func(t *testing.T) {
			revisions, _ := history(t, tc.states)
			if got := surplus(revisions, tc.limit, tc.kept); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

func TestRelease_QuarantinesOnlyWhatFailedAndOnlyForAWhile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	quarantine := &Quarantine{Key: "v1:bad", Expires: now}
	for _, tc := range []struct {
		name        string
		record      *Release
		key, retry  string
		at          time.Time
		quarantined bool
	}{
		{"no record", nil, "v1:bad", "", now.Add(-1), false},
		{"nothing has failed", &Release{}, "v1:bad", "", now.Add(-1), false},
		{"the same content", &Release{Quarantine: quarantine}, "v1:bad", "", now.Add(-1), true},
		{"the same content and retry", &Release{Quarantine: quarantine, RetryToken: "2"}, "v1:bad", "2", now.Add(-1), true},
		{"another retry", &Release{Quarantine: quarantine, RetryToken: "2"}, "v1:bad", "3", now.Add(-1), false},
		{"no retry any more", &Release{Quarantine: quarantine, RetryToken: "2"}, "v1:bad", "", now.Add(-1), false},
		{"other content", &Release{Quarantine: quarantine}, "v1:good", "", now.Add(-1), false},
		{"at the end of its time", &Release{Quarantine: quarantine}, "v1:bad", "", now, false},
		{"cleared by hand", &Release{Quarantine: quarantine}, "v1:bad", "", now.Add(-1), false},
	} {
		if quarantined := tc.record.Quarantined(tc.key, tc.retry, tc.name == "cleared by hand", tc.at) != nil; quarantined != tc.quarantined {
			t.Errorf("%s: quarantined is %v, want %v", tc.name, quarantined, tc.quarantined)
		}
	}
}

func TestRelease_KeepsTheLastRuns(t *testing.T) {
	t.Parallel()
	var r Release
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := 1; i <= maxRuns+5; i++ {
		before := r.Runs
		r.Begin(Run{Revision: i, Started: at.Add(time.Duration(i) * time.Minute), Outcome: OutcomeUnverified})
		if i%2 == 0 { // The others died.
			r.End(i, func(run *Run) {
				run.Outcome, run.Reason, run.Finished = OutcomeFailed, strings.Repeat("x", 2*MaxReason), at.Add(time.Duration(i)*time.Minute)
			})
		}
		if len(before) > 0 && before[0].Revision != i-1 {
			t.Fatal("a run of an earlier record was changed")
		}
	}
	if len(r.Runs) != maxRuns || r.Runs[0].Revision != maxRuns+5 {
		t.Fatalf("%d runs, the newest of revision %d", len(r.Runs), r.Runs[0].Revision)
	}
	for _, run := range r.Runs[1:] {
		if died := run.Revision%2 == 1; died != (run.Outcome == OutcomeCanceled) || run.Finished.IsZero() || run.Reason == "" ||
			len(run.Reason) > MaxReason+len("…") {
			t.Errorf("%+v", run)
		}
	}
}

func TestRelease_KnowsARollbackByWhatWasGoodBefore(t *testing.T) {
	t.Parallel()
	worked := &Release{
		Revision:  3,
		Version:   "v3",
		KnownGood: []KnownGood{{Revision: 3, Version: "v3", Digest: "3"}, {Revision: 2, Version: "v2", Digest: "2"}},
	}
	failed := &Release{Revision: 4, Version: "v4", KnownGood: worked.KnownGood}
	for _, tc := range []struct {
		record          *Release
		version, digest string
		want            string
	}{
		{nil, "v1", "1", KindInstall},
		{worked, "v2", "2", KindRollback},
		{worked, "v2", "with other values", KindRollback},
		{worked, "", "2", KindRollback},
		{worked, "v3", "3", KindUpgrade},
		{worked, "v3", "with other values", KindUpgrade},
		{worked, "v4", "4", KindUpgrade},
		{failed, "v3", "3", KindRollback},
		{failed, "v5", "5", KindUpgrade},
	} {
		if got := tc.record.KindOf(tc.record == nil, tc.version, tc.digest); got != tc.want {
			t.Errorf("%s %s after %+v: %s, want %s", tc.version, tc.digest, tc.record, got, tc.want)
		}
	}
}

func TestRelease_RemembersAFewRevisionsThatWorked(t *testing.T) {
	found := &Release{}
	for number := range 8 {
		found.Remember(KnownGood{Revision: number}, func(n int) bool { return n != 5 })
	}
	var got []int
	for _, good := range found.KnownGood {
		got = append(got, good.Revision)
	}
	if want := []int{7, 6, 4, 3, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := found.Kept(); !slices.Equal(got, []int{7, 6}) {
		t.Errorf("kept %v", got)
	}
}

func TestIrreversible_ForbidsWhatIsOlderAndNotSafe(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, since, safe, version string
		good                       time.Time
		forbidden                  bool
	}{
		{"nothing irreversible", "", "", "v1.1.1", at, false},
		{"known good before it", "2026-11-22T13:00:00Z", "", "v1.1.1", at, true},
		{"known good since", "2026-11-22T11:00:00Z", "", "v1.1.1", at, false},
		{"safe", "2026-11-22T13:00:00Z", "v1.1.0", "v1.1.1", at, false},
		{"the first safe one", "2026-11-22T13:00:00Z", "v1.1.1", "v1.1.1", at, false},
		{"not safe", "2026-11-22T13:00:00Z", "v1.2.0", "v1.1.1", at, true},
		{"of unknown version", "2026-11-22T13:00:00Z", "v1.1.0", "", at, true},
		{"a time that cannot be read", "yesterday", "", "v1.1.1", at, true},
	} {
		annotated := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{LabelMigration: "orders"},
			Annotations: map[string]string{
				AnnotationIrreversibleSince: tc.since, AnnotationIrreversibleSafeAfter: tc.safe,
			}}}
		annotated.Name, annotated.Namespace = "migration", "shop"
		found, err := ListIrreversible(t.Context(), fake.NewClientset(annotated), Place{Handle: environment.Handle{Namespace: "shop"}})
		if err != nil {
			t.Fatal(err)
		}
		reason := ""
		for _, migration := range found {
			reason += migration.Forbids(KnownGood{Revision: 1, Version: tc.version, At: tc.good})
		}
		if (reason != "") != tc.forbidden {
			t.Errorf("%s: %q", tc.name, reason)
		}
	}
}

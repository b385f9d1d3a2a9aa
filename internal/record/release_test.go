// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

func TestIrreversible_ForbidsRollbacksBehindIt(t *testing.T) {
	t.Parallel()
	since := "2026-03-01T12:00:00Z"
	at := func(clock string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, "2026-03-01T"+clock+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, test := range map[string]struct {
		good     record.KnownGood
		mark     record.Irreversible
		forbids  bool
		contains string
	}{
		"found good before it":               {record.KnownGood{Revision: 3, Version: "v1.0.0", At: at("11:00:00")}, record.Irreversible{Since: since, Migration: "m", Reason: "0002.sql"}, true, "(0002.sql)"},
		"found good after it":                {record.KnownGood{At: at("13:00:00")}, record.Irreversible{Since: since}, false, ""},
		"found good in the same second":      {record.KnownGood{At: at("12:00:00.9")}, record.Irreversible{Since: since}, true, ""},
		"a version that works with it":       {record.KnownGood{Version: "v2.1.0", At: at("11:00:00")}, record.Irreversible{Since: since, SafeAfter: "v2.0.0"}, false, ""},
		"a version before the safe one":      {record.KnownGood{Version: "v1.9.0", At: at("11:00:00")}, record.Irreversible{Since: since, SafeAfter: "v2.0.0"}, true, "from v2.0.0 on"},
		"a version that cannot be compared":  {record.KnownGood{Version: "latest", At: at("11:00:00")}, record.Irreversible{Since: since, SafeAfter: "v2.0.0"}, true, ""},
		"a time that cannot be read forbids": {record.KnownGood{At: at("13:00:00")}, record.Irreversible{Since: "yesterday"}, true, ""},
	} {
		reason := test.mark.Forbids(test.good)
		if (reason != "") != test.forbids || !strings.Contains(reason, test.contains) {
			t.Errorf("%s: %q", name, reason)
		}
	}
}

func TestRelease_BeginClosesARunThatDied(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &record.Release{}
	for i := range 25 {
		r.Begin(record.Run{Revision: i + 1, Started: start.Add(time.Duration(i) * time.Minute), Outcome: record.OutcomeUnverified})
	}
	if len(r.Runs) != 20 || r.Runs[0].Revision != 25 || !r.Runs[0].Finished.IsZero() {
		t.Fatalf("%d runs, the newest is %+v", len(r.Runs), r.Runs[0])
	}
	if died := r.Runs[1]; died.Outcome != record.OutcomeCanceled || !died.Finished.Equal(r.Runs[0].Started) || died.Reason == "" {
		t.Errorf("a run that died: %+v", died)
	}
}

func TestRelease_QuarantineEndsWithTimeTokenAndAnnotation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &record.Release{RetryToken: "one", Quarantine: &record.Quarantine{Key: "k", Expires: now.Add(time.Hour)}}
	for name, test := range map[string]struct {
		key, token  string
		cleared     bool
		at          time.Time
		quarantined bool
	}{
		"the content":         {"k", "one", false, now, true},
		"other content":       {"other", "one", false, now, false},
		"another retry token": {"k", "two", false, now, false},
		"cleared by a person": {"k", "one", true, now, false},
		"when it has expired": {"k", "one", false, now.Add(time.Hour), false},
	} {
		if got := r.Quarantined(test.key, test.token, test.cleared, test.at) != nil; got != test.quarantined {
			t.Errorf("%s: quarantined %v", name, got)
		}
	}
}

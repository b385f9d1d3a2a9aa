// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func failedRecord() *record.Release {
	return &record.Release{
		Revision: 3, Version: "v1.1.1", RetryToken: "first",
		KnownGood: []record.KnownGood{{Revision: 3, Version: "v1.1.1", Digest: "one"}, {Revision: 1, Version: "v1.1.0", Digest: "zero"}},
		Quarantine: &record.Quarantine{
			Key: "v1:bad", Version: "v1.2.0", Revision: 2, At: noon, Expires: noon.Add(24 * time.Hour),
			Reason: "analysis: error_rate 7.1% was above 5% for 2m0s.",
		},
	}
}

func TestReleaseFacts_QuarantineOnlyTheContentThatFailedAndOnlyForAWhile(t *testing.T) {
	const text = "v1.2.0 failed 2026-11-22T12:00:00Z as revision 2: analysis: error_rate 7.1% was above 5% for 2m0s (quarantined " +
		"until 2026-11-23T12:00:00Z)"
	for name, tc := range map[string]struct {
		at              time.Time
		key, retryToken string
		want            types.String
	}{
		"the content that failed": {noon.Add(time.Hour), "v1:bad", "first", types.StringValue(text)},
		"other content":           {noon.Add(time.Hour), "v1:other", "first", types.StringNull()},
		"another retry token":     {noon.Add(time.Hour), "v1:bad", "second", types.StringNull()},
		"no retry token any more": {noon.Add(time.Hour), "v1:bad", "", types.StringNull()},
		"after it has expired":    {noon.Add(24 * time.Hour), "v1:bad", "first", types.StringNull()},
		"content not known yet":   {noon.Add(time.Hour), "", "first", types.StringNull()},
	} {
		t.Run(name, func(t *testing.T) {
			facts := factsOf(&release.Observation{Revision: 3, Record: failedRecord()}, tc.at)
			if got := facts.quarantined(tc.key, tc.retryToken); !got.Equal(tc.want) {
				t.Errorf("quarantined is %s, want %s", got, tc.want)
			}
		})
	}
	if facts := factsOf(&release.Observation{}, noon); facts.Quarantine != nil || facts.quarantined("", "").IsNull() == false {
		t.Errorf("a release without a record holds something: %+v", facts)
	}
}

func TestReleaseFacts_RecognizeARollback(t *testing.T) {
	for name, tc := range map[string]struct {
		version, digest string
		attempted       int
		want            string
	}{
		"the earlier content":                      {"v1.1.0", "zero", 3, "v1.1.0 (revision 1)"},
		"the earlier version with other values":    {"v1.1.0", "else", 3, "v1.1.0 (revision 1)"},
		"the earlier content without a version":    {"", "zero", 3, "v1.1.0 (revision 1)"},
		"what is live":                             {"v1.1.1", "one", 3, ""},
		"a new version":                            {"v1.2.0", "new", 3, ""},
		"new values of the live version":           {"v1.1.1", "new", 3, ""},
		"the known-good one, after one that fails": {"v1.1.1", "one", 4, "v1.1.1 (revision 3)"},
	} {
		t.Run(name, func(t *testing.T) {
			record := failedRecord()
			if record.Revision = tc.attempted; tc.attempted == 4 {
				record.Version = "v1.2.0"
			}
			good, back := factsOf(&release.Observation{Revision: tc.attempted, Record: record}, noon).back(tc.version, tc.digest)
			if back != (tc.want != "") || back && good.String() != tc.want {
				t.Errorf("got %q (%t), want %q", good, back, tc.want)
			}
		})
	}
}

func TestVerification_ShowsWhatTheRecordSays(t *testing.T) {
	failed := failedRecord()
	failed.Runs = []record.Run{{Revision: 3, Outcome: record.OutcomeFailed, Stage: verify.StageSmokeTest, Reason: "readyz: HTTP 503"}}
	rollout := failedRecord()
	rollout.Runs = []record.Run{{Revision: 3, Outcome: record.OutcomeFailed, Stage: verify.StageRollout, Reason: "not ready"}}
	for name, tc := range map[string]struct {
		seen *release.Observation
		want string
	}{
		"nothing":                 {&release.Observation{}, ""},
		"a failed test":           {&release.Observation{Revision: 3, Record: failed}, "failed: readyz: HTTP 503"},
		"a failed rollout":        {&release.Observation{Revision: 3, Record: rollout}, ""},
		"made outside afterwards": {&release.Observation{Revision: 4, Record: failed}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := verificationValue(tc.seen).ValueString(); got != tc.want {
				t.Errorf("verification is %q, want %q", got, tc.want)
			}
		})
	}
}

// An update that failed must not be taken for settled, and what was restored must not be taken for something else.
func TestReleaseModel_AfterAFailureShowsWhatIsThere(t *testing.T) {
	before := releaseModel{
		Version: types.StringValue("v1.1.1"), ManifestDigest: types.StringValue("one"), ChartDigest: types.StringValue("c1"),
		ValuesDigest: types.StringValue("d1"),
		Revision:     types.Int64Value(1), Status: types.StringValue("deployed"),
	}
	plan := before
	plan.Version, plan.ManifestDigest = types.StringValue("v1.2.0"), types.StringValue("two")
	rendering := &render.Result{Digest: "two"}
	for name, tc := range map[string]struct {
		outcome         release.Outcome
		version, values string
	}{
		"rolled back to what was there": {
			release.Outcome{
				Revision: 3,
				Status:   "deployed",
				Changed:  true,
				Restored: &release.Restoration{Revision: 3, Version: "v1.1.1", Digest: "one"},
			},
			"v1.1.1", "d1",
		},
		"rolled back to something else": {
			release.Outcome{
				Revision: 3,
				Status:   "deployed",
				Changed:  true,
				Restored: &release.Restoration{Revision: 3, Version: "v1.0.0", Digest: "old"},
			},
			"v1.0.0", "",
		},
		"left live without a verdict": {release.Outcome{Revision: 2, Status: "deployed", Changed: true, Rendering: rendering}, "v1.2.0", "d1"},
		"a failed rollout":            {release.Outcome{Revision: 2, Status: "failed", Changed: true, Rendering: rendering}, "v1.1.1", "d1"},
		"refused before any change":   {release.Outcome{Revision: 1, Status: "deployed", Rendering: rendering}, "v1.1.1", "d1"},
	} {
		t.Run(name, func(t *testing.T) {
			after := before.afterFailure(plan, done{outcome: &tc.outcome, seen: &release.Observation{}})
			if after.Version.ValueString() != tc.version || after.ValuesDigest.ValueString() != tc.values ||
				after.Revision.ValueInt64() != int64(tc.outcome.Revision) {
				t.Errorf("the state says version %s, values %s, revision %s", after.Version, after.ValuesDigest, after.Revision)
			}
			if tc.values == "" && !after.ValuesDigest.IsNull() {
				t.Error("what was restored could be taken for what is configured")
			}
		})
	}
}

func TestShortDuration_LeavesOutUnitsThatAreZero(t *testing.T) {
	for text, want := range map[string]string{
		"5m":      "5m",
		"90s":     "1m30s",
		"2h":      "2h",
		"1h30m":   "1h30m",
		"0s":      "0s",
		"20m":     "20m",
		"10s":     "10s",
		"1h0m10s": "1h0m10s",
	} {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := shortDuration(d); got != want || strings.Contains(got, "m0s") {
			t.Errorf("%s is printed as %s, want %s", text, got, want)
		}
	}
}

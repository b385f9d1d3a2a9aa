// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

func TestRecord_HoldsOnlyWhatFailedAndOnlyForAWhile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	quarantine := &Quarantine{Key: "v1:bad", Expires: now}
	for _, tc := range []struct {
		name       string
		record     *Record
		key, retry string
		at         time.Time
		held       bool
	}{
		{"no record", nil, "v1:bad", "", now.Add(-1), false},
		{"nothing has failed", &Record{}, "v1:bad", "", now.Add(-1), false},
		{"the same content", &Record{Quarantine: quarantine}, "v1:bad", "", now.Add(-1), true},
		{"the same content and retry", &Record{Quarantine: quarantine, Retry: "2"}, "v1:bad", "2", now.Add(-1), true},
		{"another retry", &Record{Quarantine: quarantine, Retry: "2"}, "v1:bad", "3", now.Add(-1), false},
		{"no retry any more", &Record{Quarantine: quarantine, Retry: "2"}, "v1:bad", "", now.Add(-1), false},
		{"other content", &Record{Quarantine: quarantine}, "v1:good", "", now.Add(-1), false},
		{"at the end of its time", &Record{Quarantine: quarantine}, "v1:bad", "", now, false},
		{"cleared by hand", &Record{Quarantine: quarantine, cleared: true}, "v1:bad", "", now.Add(-1), false},
	} {
		if held := tc.record.Held(tc.key, tc.retry, tc.at) != nil; held != tc.held {
			t.Errorf("%s: held is %v, want %v", tc.name, held, tc.held)
		}
	}
}

func TestContentKey_ChangesWithWhatAVersionIsAndIsJudgedBy(t *testing.T) {
	t.Parallel()
	limit := 0.05
	keyOf := func(change func(*Spec, *render.Result, *Guard)) string {
		spec := Spec{Version: "v1.2.0", Chart: &chart.Chart{Digest: "sha256:1"}}
		rendering := &render.Result{Digest: "c1:1"}
		guard := Guard{
			SmokeTests: []Check{{Name: "ready", HTTP: &HTTPCheck{URL: "https://example.com/", Header: http.Header{"Authorization": {"one"}}}}},
			Analysis: &Analysis{
				Policy:     analysis.Policy{Duration: time.Minute, Interval: time.Second, Metrics: []analysis.Metric{{Name: "errors", Query: "up", Above: &limit}}},
				Prometheus: &PrometheusSource{Address: "https://example.com", Password: "one"},
			},
			Rollback: &RollbackPolicy{},
		}
		change(&spec, rendering, &guard)
		return ContentKey(spec, rendering, guard)
	}
	base := keyOf(func(*Spec, *render.Result, *Guard) {})
	if !strings.HasPrefix(base, keyVersion) {
		t.Errorf("it does not name its version: %s", base)
	}
	higher := 0.1
	for name, change := range map[string]func(*Spec, *render.Result, *Guard){
		"version": func(s *Spec, _ *render.Result, _ *Guard) { s.Version = "v1.2.1" },
		"chart":   func(s *Spec, _ *render.Result, _ *Guard) { s.Chart.Digest = "sha256:2" },
		"values":  func(_ *Spec, r *render.Result, _ *Guard) { r.Digest = "c1:2" },
		"limit":   func(_ *Spec, _ *render.Result, g *Guard) { g.Analysis.Policy.Metrics[0].Above = &higher },
		"smoke":   func(_ *Spec, _ *render.Result, g *Guard) { g.SmokeTests[0].HTTP.URL += "other" },
		"gate":    func(_ *Spec, _ *render.Result, g *Guard) { g.Acceptance = &Check{Name: "users"} },
	} {
		if keyOf(change) == base {
			t.Errorf("%s: the key is the same", name)
		}
	}
	for name, change := range map[string]func(*Spec, *render.Result, *Guard){
		"a password":  func(_ *Spec, _ *render.Result, g *Guard) { g.Analysis.Prometheus.Password = "two" },
		"a header":    func(_ *Spec, _ *render.Result, g *Guard) { g.SmokeTests[0].HTTP.Header.Set("Authorization", "two") },
		"a retry":     func(_ *Spec, _ *render.Result, g *Guard) { g.Retry = "again" },
		"no rollback": func(_ *Spec, _ *render.Result, g *Guard) { g.Rollback = nil },
	} {
		if keyOf(change) != base {
			t.Errorf("%s: the key is another one", name)
		}
	}
}

func TestRecord_KeepsTheLastRuns(t *testing.T) {
	t.Parallel()
	var r Record
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := 1; i <= maxRuns+5; i++ {
		before := r.Runs
		r.beginRun(Run{Revision: i, Started: at.Add(time.Duration(i) * time.Minute), Outcome: OutcomeUnverified})
		if i%2 == 0 { // The others died.
			r.endRun(i, func(run *Run) {
				run.Outcome, run.Reason, run.Finished = OutcomeFailed, strings.Repeat("x", 2*maxReason), at.Add(time.Duration(i)*time.Minute)
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
		if died := run.Revision%2 == 1; died != (run.Outcome == OutcomeCanceled) || run.Finished.IsZero() || run.Reason == "" || len(run.Reason) > maxReason+len("…") {
			t.Errorf("%+v", run)
		}
	}
}

func TestRecord_KnowsARollbackByWhatWasGoodBefore(t *testing.T) {
	t.Parallel()
	record := &Record{Revision: 3, Version: "v3", KnownGood: []KnownGood{{Revision: 3, Version: "v3", Digest: "3"}, {Revision: 2, Version: "v2", Digest: "2"}}}
	failed := &Record{Revision: 4, Version: "v4", KnownGood: record.KnownGood}
	for _, tc := range []struct {
		record          *Record
		version, digest string
		want            string
	}{
		{nil, "v1", "1", KindInstall},
		{record, "v2", "2", KindRollback},
		{record, "v2", "with other values", KindRollback},
		{record, "", "2", KindRollback},
		{record, "v3", "3", KindUpgrade},
		{record, "v3", "with other values", KindUpgrade},
		{record, "v4", "4", KindUpgrade},
		{failed, "v3", "3", KindRollback},
		{failed, "v5", "5", KindUpgrade},
	} {
		if got := tc.record.kindOf(tc.record == nil, tc.version, tc.digest); got != tc.want {
			t.Errorf("%s %s after %+v: %s, want %s", tc.version, tc.digest, tc.record, got, tc.want)
		}
	}
}

func TestMark_ForbidsWhatIsOlderAndNotSafe(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, since, safe, version string
		good                       time.Time
		forbidden                  bool
	}{
		{"no mark", "", "", "v1.1.1", at, false},
		{"known good before it", "2026-11-22T13:00:00Z", "", "v1.1.1", at, true},
		{"known good since", "2026-11-22T11:00:00Z", "", "v1.1.1", at, false},
		{"safe", "2026-11-22T13:00:00Z", "v1.1.0", "v1.1.1", at, false},
		{"the first safe one", "2026-11-22T13:00:00Z", "v1.1.1", "v1.1.1", at, false},
		{"not safe", "2026-11-22T13:00:00Z", "v1.2.0", "v1.1.1", at, true},
		{"of unknown version", "2026-11-22T13:00:00Z", "v1.1.0", "", at, true},
		{"a mark that cannot be read", "yesterday", "", "v1.1.1", at, true},
	} {
		mark := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{LabelMigration: "orders"}, Annotations: map[string]string{
			AnnotationIrreversibleSince: tc.since, AnnotationIrreversibleSafeAfter: tc.safe,
		}}}
		if got := forbids(mark, KnownGood{Revision: 1, Version: tc.version, At: tc.good}); (got != "") != tc.forbidden {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

func TestSeal_IsOfTheContentAndNotOfTheState(t *testing.T) {
	t.Parallel()
	stored := func() *helmrelease.Release {
		return &helmrelease.Release{Name: "app", Version: 1, Labels: map[string]string{labelSeal: "key"}, Config: map[string]any{"a": 1}, Manifest: "a: b",
			Info: &helmrelease.Info{Status: helmrelease.StatusDeployed}, Hooks: []*helmrelease.Hook{{Path: "h", Manifest: "c: d"}}}
	}
	base, err := seal(stored())
	if err != nil || !strings.HasPrefix(base, sealVersion) {
		t.Fatal(base, err)
	}
	for i, change := range []func(*helmrelease.Release){
		func(r *helmrelease.Release) { r.Info.Status = helmrelease.StatusSuperseded },
		func(r *helmrelease.Release) { r.Hooks[0].LastRun.Phase = helmrelease.HookPhaseFailed },
		func(r *helmrelease.Release) { r.Version = 9 },
	} {
		r := stored()
		change(r)
		if got, _ := seal(r); got != base {
			t.Errorf("state %d changes it", i)
		}
	}
	for i, change := range []func(*helmrelease.Release){
		func(r *helmrelease.Release) { r.Manifest += "c" },
		func(r *helmrelease.Release) { r.Config["a"] = 2 },
		func(r *helmrelease.Release) { r.Hooks[0].Manifest += "c" },
		func(r *helmrelease.Release) { r.Labels[labelSeal] = "another key" },
	} {
		r := stored()
		change(r)
		if got, _ := seal(r); got == base {
			t.Errorf("content %d does not change it", i)
		}
	}
	r := stored()
	r.Labels = nil
	if got, err := seal(r); got != "" || err != nil {
		t.Errorf("without a key: %q %v", got, err)
	}
}

func TestHealthSamples_AreWhatNobodyElseRemembers(t *testing.T) {
	t.Parallel()
	var samples []analysis.Sample
	for i := range maxSamples + 10 {
		samples = append(samples, analysis.Sample{Check: "pods", Evidence: fmt.Sprint(i)}, analysis.Sample{Check: "errors"})
	}
	got := healthSamples(analysis.Policy{Metrics: []analysis.Metric{{Name: "errors"}}}, samples)
	if len(got) != maxSamples || got[0].Evidence != "10" || got[0].Check != "pods" {
		t.Errorf("%d samples, the first is %+v", len(got), got[0])
	}
}

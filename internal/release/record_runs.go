// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"slices"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

const (
	// maxRuns is how many attempts the record keeps, and maxReason how much of the reason of each.
	maxRuns   = 20
	maxReason = 300
	// maxSamples is how many samples of health checks the record keeps of a run that was interrupted, and maxSampleEvidence how
	// much of the text of each: a ConfigMap has room for a megabyte.
	maxSamples        = 400
	maxSampleEvidence = 120
)

// beginRun puts an attempt in front. One before it that has no end yet died without a word.
func (r *Record) beginRun(run Run) {
	runs := slices.Clone(r.Runs)
	if len(runs) > 0 && runs[0].Finished.IsZero() {
		runs[0].Finished, runs[0].Outcome = run.Started, OutcomeCanceled
		if runs[0].Reason == "" {
			runs[0].Reason = "its process ended without a word"
		}
	}
	runs = slices.Insert(runs, 0, run)
	r.Runs = runs[:min(len(runs), maxRuns)]
}

// endRun writes the end of the attempt that made a revision. Where there is none, the revision was made before attempts were kept.
func (r *Record) endRun(revision int, end func(*Run)) {
	r.Runs = slices.Clone(r.Runs)
	for i := range r.Runs {
		if r.Runs[i].Revision != revision {
			continue
		}
		end(&r.Runs[i])
		r.Runs[i].Reason = explain.Shorten(r.Runs[i].Reason, maxReason)
		return
	}
}

// healthSamples are those that no history remembers, newest last, cut to what a record can hold.
func healthSamples(policy analysis.Policy, samples []analysis.Sample) []analysis.Sample {
	var out []analysis.Sample
	for _, s := range samples {
		if slices.ContainsFunc(policy.Metrics, func(m analysis.Metric) bool { return m.Name == s.Check }) {
			continue
		}
		s.Evidence = explain.Shorten(s.Evidence, maxSampleEvidence)
		out = append(out, s)
	}
	return out[max(0, len(out)-maxSamples):]
}

// kindOf says what bringing this content live is. Bringing an earlier known-good version back is a rollback too.
func (r *Record) kindOf(installs bool, version, digest string) string {
	if _, back := r.backTo(version, digest); back {
		return KindRollback
	}
	if installs {
		return KindInstall
	}
	return KindUpgrade
}

// provesGood reports that content with this digest is known to work.
func (r *Record) provesGood(digest string) bool {
	return r != nil && slices.ContainsFunc(r.KnownGood, func(g KnownGood) bool { return g.Digest == digest })
}

// goodBefore is the newest known-good revision other than this one.
func (r *Record) goodBefore(revision int) (KnownGood, bool) {
	if r != nil {
		for _, good := range r.KnownGood {
			if good.Revision != revision {
				return good, true
			}
		}
	}
	return KnownGood{}, false
}

// finished is a time that is never zero in a run that has ended.
func finished() time.Time { return time.Now().UTC() }

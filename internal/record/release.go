// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"slices"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

// Phase is how far the last operation on a release came.
type Phase string

// The phases of a release.
const (
	Installing  Phase = "installing"
	Upgrading   Phase = "upgrading"
	Verifying   Phase = "verifying"  // deployed, and its verification is under way or was cut off
	Unverified  Phase = "unverified" // the verification was inconclusive, and the revision was left
	Deployed    Phase = "deployed"
	RollingBack Phase = "rolling back"
	RolledBack  Phase = "rolled back"
	Failed      Phase = "failed"
)

const (
	// maxKnownGood is how many revisions that worked are remembered.
	maxKnownGood = 5
	// maxRuns is how many attempts are kept, and MaxReason how many letters of the reason of each.
	maxRuns = 20
	// MaxReason is the most letters of a reason, MaxFailure of an error, that a record keeps.
	MaxReason  = 300
	MaxFailure = 1024
)

// Release is what Slipway did to a release. It holds no secret.
type Release struct {
	Header
	NamespaceUID string    `json:"namespaceUID"`
	Phase        Phase     `json:"phase"`
	Holder       string    `json:"holder"`
	Started      time.Time `json:"started"`
	Finished     time.Time `json:"finished,omitzero"`
	Revision     int       `json:"revision"` // the revision of the phase
	Digest       string    `json:"digest"`   // of its rendering
	Version      string    `json:"version"`
	Chart        Chart     `json:"chart"`
	// Key is the content key of the revision, and PolicyHash the part of it that the verification makes; both are empty without one.
	Key        string `json:"key,omitempty"`
	PolicyHash string `json:"policyHash,omitempty"`
	// Verification is set in the phases Verifying and Unverified.
	Verification *Verification `json:"verifying,omitempty"`
	// KnownGood are revisions that were deployed, became ready, and passed their verification where they had one, newest first.
	KnownGood []KnownGood `json:"knownGood,omitempty"`
	// Runs are the last attempts, newest first.
	Runs []Run `json:"runs,omitempty"`
	// Quarantine is the content that failed last; nil where nothing is quarantined.
	Quarantine *Quarantine `json:"quarantine,omitempty"`
	// RetryToken is that of the run that made the quarantine.
	RetryToken string `json:"retryToken,omitempty"`
	// Failure is what the last failed operation reported, shortened, without secrets.
	Failure string `json:"failure,omitempty"`
	// SecretPaths are the dotted paths of the values that were given as sensitive or write-only, so that an import leaves them out.
	// The values themselves are not here.
	SecretPaths []string `json:"secretPaths,omitempty"`
	// Unserved are ports of Services that had no ready endpoint before the revision was written, for example "web:http".
	Unserved []string `json:"unserved,omitempty"`
}

// Verification says how far the verification of a revision came.
type Verification struct {
	// Since is when its pods were ready: the analysis begins there.
	Since time.Time `json:"since"`
	// Stage is the stage that began last.
	Stage string `json:"stage"`
	// Samples are those of health checks, which nobody else remembers, newest last. They are written when a run is interrupted.
	Samples []analysis.Sample `json:"samples,omitempty"`
}

// Chart is enough to find the chart again on import.
type Chart struct {
	Source  chart.Source `json:"source"`
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Digest  string       `json:"digest"`
}

// KnownGood is one revision that worked.
type KnownGood struct {
	Revision int       `json:"revision"`
	Version  string    `json:"version"`
	Digest   string    `json:"digest"`
	At       time.Time `json:"at"`
	// Chart and SecretPaths are as in Release: they come back with the revision.
	Chart       Chart    `json:"chart,omitzero"`
	SecretPaths []string `json:"secretPaths,omitempty"`
	// Seal is a keyed hash over what Helm stored of the revision; its key is a label of Helm's Secret. It refuses a rollback to something
	// else than what was good. It is empty where the revision was made before there were seals.
	Seal string `json:"seal,omitempty"`
}

// Kinds of a run.
const (
	KindInstall  = "install"
	KindUpgrade  = "upgrade"
	KindRollback = "rollback"
)

// Outcomes of a run.
const (
	OutcomePassed       = "passed"
	OutcomeFailed       = "failed"
	OutcomeInconclusive = "inconclusive"
	OutcomeCanceled     = "canceled"
	OutcomeUnverified   = "unverified"
	OutcomeRolledBack   = "rolled back"
)

// Run is one attempt to bring a revision live.
type Run struct {
	Revision int       `json:"revision"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	// Kind is KindInstall, KindUpgrade or KindRollback: the deployment of an earlier known-good version is a rollback as well.
	Kind string `json:"kind"`
	// Outcome is one of the outcomes above.
	Outcome string `json:"outcome"`
	// Stage is where it failed, empty where it did not.
	Stage  string `json:"stage,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Restored is the revision that a rollback made, RestoredVersion the version of the application in it.
	Restored        int    `json:"restored,omitempty"`
	RestoredVersion string `json:"restoredVersion,omitempty"`
}

// Quarantine is content that failed its verification. It is not deployed again before it expires, unless an input or the retry token
// changes, or a user puts AnnotationQuarantine on the record.
type Quarantine struct {
	// Key is the content's key.
	Key      string    `json:"key"`
	Version  string    `json:"version"`
	Revision int       `json:"revision"`
	At       time.Time `json:"at"`
	Expires  time.Time `json:"expires"`
	// Reason is a sentence: "error_rate 7.1% was above 5% for 2m0s".
	Reason string `json:"reason"`
}

// Begin records the attempt that starts now. One that is still open ended without a record of its end.
func (r *Release) Begin(run Run) {
	runs := slices.Clone(r.Runs)
	if len(runs) > 0 && runs[0].Finished.IsZero() {
		runs[0].Finished, runs[0].Outcome = run.Started, OutcomeCanceled
		if runs[0].Reason == "" {
			runs[0].Reason = "its process ended before it could record why"
		}
	}
	runs = slices.Insert(runs, 0, run)
	r.Runs = runs[:min(len(runs), maxRuns)]
}

// End changes the attempt that made a revision.
func (r *Release) End(revision int, end func(*Run)) {
	r.Runs = slices.Clone(r.Runs)
	for i := range r.Runs {
		if r.Runs[i].Revision != revision {
			continue
		}
		end(&r.Runs[i])
		r.Runs[i].Reason = shorten(r.Runs[i].Reason, MaxReason)
		return
	}
}

// Verify records that the verification of a deployed revision is under way.
func (r *Release) Verify(revision int, verification Verification) {
	r.Phase, r.Revision, r.Verification = Verifying, revision, &verification
}

// Accept records that a revision is known-good. exists reports which older revisions are still stored; note says why it was accepted
// although not everything is known.
func (r *Release) Accept(good KnownGood, exists func(revision int) bool, note string, at time.Time) {
	r.Phase, r.Revision, r.Failure, r.Verification, r.Finished = Deployed, good.Revision, "", nil, at
	r.Remember(good, exists)
	r.End(good.Revision, func(run *Run) { run.Outcome, run.Reason, run.Finished = OutcomePassed, note, at })
}

// Fail records that an attempt failed. begun is the revision that it was to make, newest the newest one that is stored.
func (r *Release) Fail(begun, newest int, run Run, failure string, at time.Time) {
	r.Phase, r.Revision, r.Finished, r.Failure = Failed, newest, at, shorten(failure, MaxFailure)
	r.End(begun, func(open *Run) {
		open.Outcome, open.Stage, open.Reason, open.Finished = run.Outcome, run.Stage, run.Reason, at
	})
}

// RollBack records that the rollback of a revision begins. quarantine may be nil.
func (r *Release) RollBack(revision int, run Run, quarantine *Quarantine, retryToken string) {
	r.Phase, r.Verification, r.Failure = RollingBack, nil, shorten(run.Stage+": "+run.Reason, MaxFailure)
	if quarantine != nil {
		r.Quarantine, r.RetryToken = quarantine, retryToken
	}
	r.End(revision, func(open *Run) { open.Outcome, open.Stage, open.Reason = run.Outcome, run.Stage, run.Reason })
}

// Remember puts a revision first among the known-good ones. exists reports which older ones are still stored.
func (r *Release) Remember(good KnownGood, exists func(revision int) bool) {
	list := []KnownGood{good}
	for _, old := range r.KnownGood {
		if old.Revision != good.Revision && exists(old.Revision) && len(list) < maxKnownGood {
			list = append(list, old)
		}
	}
	r.KnownGood = list
}

// Kept are the revisions that are never pruned: the newest two known-good ones and that of the last attempt.
func (r *Release) Kept() []int {
	var kept []int
	if r != nil {
		for _, good := range r.KnownGood[:min(2, len(r.KnownGood))] {
			kept = append(kept, good.Revision)
		}
		if len(r.Runs) > 0 {
			kept = append(kept, r.Runs[0].Revision)
		}
	}
	return slices.Clip(kept)
}

// Rollback reports whether bringing this content live is a rollback, and to which known-good revision. Plan and apply ask the same
// function.
func (r *Release) Rollback(version, digest string) (KnownGood, bool) {
	if r == nil || len(r.KnownGood) == 0 {
		return KnownGood{}, false
	}
	now := r.KnownGood[0]
	for _, good := range r.KnownGood[1:] {
		same := good.Digest == digest && now.Digest != digest
		if same || version != "" && good.Version == version && now.Version != version {
			return good, true
		}
	}
	// The newest known-good one itself comes back where something that failed has taken its place.
	back := r.Revision != now.Revision && (now.Digest == digest || version != "" && now.Version == version && r.Version != version)
	return now, back
}

// KindOf returns what the deployment of this content is.
func (r *Release) KindOf(installs bool, version, digest string) string {
	if _, back := r.Rollback(version, digest); back {
		return KindRollback
	}
	if installs {
		return KindInstall
	}
	return KindUpgrade
}

// Proves reports that a rendering with this digest is known-good.
func (r *Release) Proves(digest string) bool {
	return r != nil && slices.ContainsFunc(r.KnownGood, func(g KnownGood) bool { return g.Digest == digest })
}

// Before is the newest known-good revision other than this one.
func (r *Release) Before(revision int) (KnownGood, bool) {
	if r != nil {
		for _, good := range r.KnownGood {
			if good.Revision != revision {
				return good, true
			}
		}
	}
	return KnownGood{}, false
}

// Quarantined returns the quarantine that keeps content with this key from being deployed, nil where none does. cleared is
// Stored.Cleared.
func (r *Release) Quarantined(key, retryToken string, cleared bool, now time.Time) *Quarantine {
	if r == nil || r.Quarantine == nil || cleared {
		return nil
	}
	q := r.Quarantine
	if q.Key != key || r.RetryToken != retryToken || !now.Before(q.Expires) {
		return nil
	}
	return q
}

// shorten cuts a text to at most so many letters.
func shorten(text string, letters int) string {
	all := []rune(text)
	if len(all) <= letters {
		return text
	}
	return string(all[:letters-1]) + "…"
}

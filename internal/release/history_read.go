// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// HistoryEntry is one revision of a release, as far as Helm and the record remember it.
type HistoryEntry struct {
	Revision int
	// Status is Helm's; empty where Helm's record of the revision was pruned.
	Status string
	// Version of the application; empty where it is not known: the revision was made outside Slipway, or long ago.
	Version string
	// Kind is "install", "upgrade" or "rollback", Outcome that of Run; both empty where Slipway made no record of it.
	Kind, Outcome string
	// Stage is where it failed, Reason why, without secrets.
	Stage, Reason string
	// Started is when its attempt began, else when Helm's record of it was made. Finished is zero while it runs.
	Started, Finished time.Time
	// Restored is the revision with which a rollback replaced this one, 0 where none did; RestoredVersion its version.
	Restored        int
	RestoredVersion string
	// KnownGood says that it is one of those that a rollback may go back to.
	KnownGood bool
	// Current says that it is the deployed one.
	Current bool
}

// History reads the revisions of a release, newest first, at most limit of them (all where 0), with two requests: a metadata LIST of
// Helm's Secrets and a GET of the record. It is empty where there is no release. It holds no secret. Errors as from Observe.
func History(ctx context.Context, target Target, limit int) ([]HistoryEntry, error) {
	seen, revisions, _, err := observe(ctx, target)
	if err != nil {
		return nil, err
	}
	last := seen.Record
	if last == nil {
		last = &record.Release{}
	}
	byNumber := map[int]*HistoryEntry{}
	entry := func(number int) *HistoryEntry {
		if byNumber[number] == nil {
			byNumber[number] = &HistoryEntry{Revision: number}
		}
		return byNumber[number]
	}
	for _, r := range revisions {
		e := entry(r.number)
		e.Status, e.Started, e.Current = r.status.String(), r.created.UTC(), r.number == seen.Deployed
	}
	for _, good := range last.KnownGood {
		e := entry(good.Revision)
		e.KnownGood, e.Version = true, good.Version
	}
	// Newest first: an attempt that was resumed is there once.
	for _, run := range slices.Backward(last.Runs) {
		if run.Revision == 0 {
			continue
		}
		e := entry(run.Revision)
		e.Kind, e.Outcome, e.Stage, e.Reason = run.Kind, run.Outcome, run.Stage, run.Reason
		e.Started, e.Finished = run.Started, run.Finished
		e.Restored, e.RestoredVersion = run.Restored, run.RestoredVersion
		if run.Version != "" {
			e.Version = run.Version
		}
	}
	for _, run := range last.Runs {
		if run.Restored != 0 {
			entry(run.Restored).restores(run)
		}
	}
	out := make([]HistoryEntry, 0, len(byNumber))
	for _, e := range byNumber {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b HistoryEntry) int { return b.Revision - a.Revision })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

// restores says of a revision that an automatic rollback made it.
func (e *HistoryEntry) restores(failed record.Run) {
	if e.Kind != "" {
		return
	}
	e.Kind, e.Version = record.KindRollback, failed.RestoredVersion
	e.Reason = fmt.Sprintf("restored after revision %d failed", failed.Revision)
	if failed.Finished.After(e.Started) {
		e.Finished = failed.Finished
	}
}

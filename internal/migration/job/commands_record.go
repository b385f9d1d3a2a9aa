// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"slices"
	"time"
)

// commandRecord is what the record says of a migration by commands.
type commandRecord struct {
	// Versions that the schema has had, oldest first; the last one is the present one. A rollback removes those that it undoes.
	Versions []recordedVersion `json:"versions,omitempty"`
	// Passed are the digests of what has succeeded for the present version.
	Passed map[Phase]string `json:"passed,omitempty"`
	// Begun is what changes the schema and has not ended, as far as anybody has seen.
	Begun *begunPhase `json:"begun,omitempty"`
	// Last is how each phase ended the last time.
	Last map[Phase]phaseEnd `json:"last,omitempty"`
}

type recordedVersion struct {
	Version string    `json:"version"`
	Image   string    `json:"image"`
	Digest  string    `json:"digest"`
	At      time.Time `json:"at"`
	// Irreversible are the annotations that this version has put on the record for rollbacks of releases.
	Irreversible map[string]string `json:"irreversible,omitempty"`
}

type begunPhase struct {
	Phase   Phase     `json:"phase"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`
}

type phaseEnd struct {
	Version   string    `json:"version"`
	Image     string    `json:"image"`
	Digest    string    `json:"digest"`
	At        time.Time `json:"at"`
	Succeeded bool      `json:"succeeded"`
	ExitCode  *int32    `json:"exitCode,omitempty"`
}

func (r *commandRecord) progress() Progress {
	out := Progress{Images: map[string]string{}, Passed: r.Passed}
	for _, v := range r.Versions {
		out.Images[v.Version] = v.Image
		out.Version = v.Version
	}
	return out
}

// begin records that the schema is about to be changed.
func (r *commandRecord) begin(w phaseWork) {
	r.Begun = &begunPhase{Phase: w.phase, Version: w.version, At: time.Now().UTC()}
	r.Passed = nil // from here on, the schema may be between two versions
}

// end records how a phase has ended. irreversible are the annotations of a version that was made.
func (r *commandRecord) end(w phaseWork, succeeded bool, exitCode *int32, irreversible map[string]string) {
	if r.Last == nil {
		r.Last = map[Phase]phaseEnd{}
	}
	now := time.Now().UTC()
	r.Last[w.phase] = phaseEnd{Version: w.version, Image: w.image, Digest: w.digest, At: now, Succeeded: succeeded, ExitCode: exitCode}
	switch w.phase {
	case PhaseRun, PhaseRollback:
		r.Begun, r.Passed = nil, nil
		if !succeeded {
			return
		}
		r.Passed = map[Phase]string{PhaseRun: w.digest}
		at := slices.IndexFunc(r.Versions, func(v recordedVersion) bool { return v.Version == w.version })
		if w.phase == PhaseRollback && at >= 0 {
			r.Versions = r.Versions[:at+1]
			return
		}
		r.Versions = slices.DeleteFunc(r.Versions, func(v recordedVersion) bool { return v.Version == w.version })
		r.Versions = append(r.Versions,
			recordedVersion{Version: w.version, Image: w.image, Digest: w.digest, At: now, Irreversible: irreversible})
	case PhaseValidate:
		if r.Passed == nil {
			return
		}
		delete(r.Passed, PhaseValidate)
		if succeeded {
			r.Passed[PhaseValidate] = w.digest
		}
	}
}

// irreversible are the annotations that apply to the present version: the newest that a recorded one has put.
func (r *commandRecord) irreversible() map[string]string {
	for _, v := range slices.Backward(r.Versions) {
		if len(v.Irreversible) > 0 {
			return v.Irreversible
		}
	}
	return nil
}

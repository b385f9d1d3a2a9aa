// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"fmt"
	"path"
)

// Limits of what travels to the cluster in ConfigMaps. Kubernetes refuses a ConfigMap above 1 MiB.
const (
	MaxSize  = 900 << 10 // of one file
	MaxRead  = 16 << 20  // of one file that is read at all
	MaxTotal = 8 << 20   // of all pending files
)

// Refusal is why a set of files cannot be run.
type Refusal struct {
	File   string // empty if it is about all files
	Line   int    // 0 if it is about the whole file
	Reason string
	// Duplicate means that another file has the same number.
	Duplicate bool
}

// Refusals are why the plan and the runner refuse files, which are in the order in which they run: at most one reason for each file.
func Refusals(files []*File) []Refusal {
	var refused []Refusal
	for i, file := range files {
		if refusal := file.refusal(); refusal.Reason != "" {
			refused = append(refused, refusal)
		} else if i > 0 && file.Version == files[i-1].Version {
			refused = append(refused, Refusal{
				File: file.Name, Reason: fmt.Sprintf("%s and %s have the same number", files[i-1].Name, file.Name), Duplicate: true,
			})
		}
	}
	return refused
}

func (f *File) refusal() Refusal {
	refusal := Refusal{File: f.Name}
	switch {
	case path.Base(f.Name) != f.Name:
		refusal.Reason = "it is in a directory of its own; put all files into one directory"
	case f.Version <= 0:
		refusal.Reason = "its name does not start with a number above 0, which says when it runs"
	case f.Problem != nil:
		refusal.Line, refusal.Reason = f.Problem.Line, f.Problem.Reason
	case f.Format != Goose:
		refusal.Reason = "it does not say \"-- +goose Up\", without which the runner does not know where the migration begins"
	case f.Size > MaxSize:
		refusal.Reason = fmt.Sprintf("it has %d bytes, and at most %d fit into a ConfigMap; load data that large by other "+
			"means, and keep the migration to the schema", f.Size, MaxSize)
	}
	return refusal
}

// RefusedTogether is why the pending files cannot be run together, or "".
func RefusedTogether(pending []*File) string {
	total := 0
	for _, file := range pending {
		total += file.Size
	}
	if total <= MaxTotal {
		return ""
	}
	return fmt.Sprintf("the pending files have %d bytes together, and at most %d can travel to the cluster", total, MaxTotal)
}

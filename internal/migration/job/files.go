// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package job applies SQL migrations to the database of an environment with a Kubernetes Job in its namespace, records there
// what was applied, and decides whether a contract migration may run yet.
package job

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// File is a migration with its content.
type File struct {
	*sqlfile.File
	Content []byte

	from string // path, of files of ReadChecks
}

// Limits of what travels in ConfigMaps. Kubernetes refuses a ConfigMap above 1 MiB.
const (
	maxChunk = 900 << 10
	maxTotal = 8 << 20
)

// Directory is a directory of migrations, read.
type Directory struct {
	// Files are those of the wanted kind, Others the rest, both in the order in which they run.
	Files, Others []*File
	// Check and Validate are files whose statements must hold, before anything runs and after all has. See ReadChecks.
	Check, Validate []*File
}

// Read reads a directory. Of the files, contract takes those that say "-- slipway:kind contract", which may be none; otherwise those that
// do not say so are taken. The error is a *FilesError where the runner could not run a file.
func Read(dir string, contract bool) (*Directory, error) {
	parsed, err := sqlfile.ReadDir(dir)
	if err != nil {
		return nil, &FilesError{Directory: dir, Reason: err.Error()}
	}
	if len(parsed) == 0 {
		return nil, &FilesError{Directory: dir, Reason: "it holds no file whose name ends in .sql"}
	}
	out := &Directory{}
	for i, file := range parsed {
		if err := runnable(dir, file); err != nil {
			return nil, err
		}
		if i > 0 && file.Version == parsed[i-1].Version {
			return nil, &FilesError{Directory: dir, Reason: fmt.Sprintf("%s and %s have the same number", parsed[i-1].Name, file.Name)}
		}
		content, err := fs.ReadFile(os.DirFS(dir), file.Name)
		if err != nil {
			return nil, &FilesError{Directory: dir, Reason: err.Error()}
		}
		entry := &File{File: file, Content: content}
		if file.Contract == contract {
			out.Files = append(out.Files, entry)
		} else {
			out.Others = append(out.Others, entry)
		}
	}
	return out, nil
}

func runnable(dir string, file *sqlfile.File) error {
	reason := ""
	switch {
	case filepath.Base(file.Name) != file.Name:
		reason = "it is in a directory of its own; put all files into one directory"
	case file.Version <= 0:
		reason = "its name does not start with a number above 0, which says when it runs"
	case file.Problem != nil:
		reason = fmt.Sprintf("line %d: %s", file.Problem.Line, file.Problem.Reason)
	case file.Format != sqlfile.Goose:
		reason = "it does not say \"-- +goose Up\", without which the runner does not know where the migration begins"
	case file.Size > maxChunk:
		reason = fmt.Sprintf("it has %d bytes, and at most %d fit into a ConfigMap; load data that large by other "+
			"means, and keep the migration to the schema", file.Size, maxChunk)
	default:
		return nil
	}
	return &FilesError{Directory: dir, File: file.Name, Reason: reason}
}

// Checksums are the names of files with their checksums.
func Checksums(files []*File) map[string]string {
	out := make(map[string]string, len(files))
	for _, file := range files {
		out[file.Name] = file.Checksum
	}
	return out
}

// Pending are the files that are not applied, in order. Errors: *EditedError, *LateError, *FilesError where they are too many bytes.
func Pending(files []*File, applied map[string]string) ([]*File, error) {
	var pending []*File
	var edited []string
	var newest int64
	for _, file := range files {
		if checksum, ok := applied[file.Name]; ok {
			newest = max(newest, file.Version)
			if checksum != "" && checksum != file.Checksum {
				edited = append(edited, file.Name)
			}
			continue
		}
		pending = append(pending, file)
	}
	if len(edited) > 0 {
		return nil, &EditedError{Files: edited}
	}
	total := 0
	for _, file := range pending {
		if file.Version < newest {
			return nil, &LateError{File: file.Name, Newest: newest}
		}
		total += file.Size
	}
	if total > maxTotal {
		return nil, &FilesError{Reason: fmt.Sprintf("the pending files have %d bytes together, and at most %d can travel to the cluster", total,
			maxTotal)}
	}
	return pending, nil
}

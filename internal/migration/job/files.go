// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package job applies SQL migrations to the database of an environment with a Kubernetes Job in its namespace, records there
// what was applied, and decides whether a contract migration may run yet.
package job

import (
	"fmt"
	"path/filepath"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

// File is a migration with its content.
type File struct {
	*sqlfile.File
	Content []byte

	from string // path, of files of ReadChecks
}

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
	if refusals := sqlfile.Refusals(parsed); len(refusals) > 0 {
		refused := refusals[0]
		reason := refused.Reason
		if refused.Line > 0 {
			reason = fmt.Sprintf("line %d: %s", refused.Line, reason)
		}
		return nil, &FilesError{Directory: dir, File: refused.File, Reason: reason}
	}
	for _, file := range parsed {
		content, err := regularfile.Read(filepath.Join(dir, filepath.FromSlash(file.Name)), sqlfile.MaxRead)
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
	todo := make([]*sqlfile.File, 0, len(pending))
	for _, file := range pending {
		if file.Version < newest {
			return nil, &LateError{File: file.Name, Newest: newest}
		}
		todo = append(todo, file.File)
	}
	if reason := sqlfile.RefusedTogether(todo); reason != "" {
		return nil, &FilesError{Reason: reason}
	}
	return pending, nil
}

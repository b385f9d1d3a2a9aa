// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

var checkName = regexp.MustCompile(`^[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,252}$`)

// ReadChecks reads files whose statements must hold, before or after a migration, in the order of their names, as the runner takes them.
// The error is a *FilesError where one of them is not there, empty, or cannot travel to the cluster.
func ReadChecks(paths []string) ([]*File, error) {
	var out []*File
	seen := map[string]bool{}
	for _, path := range paths {
		name := filepath.Base(path)
		wrong := func(reason string) error {
			return &FilesError{Directory: filepath.Dir(path), File: name, Reason: reason}
		}
		content, err := regularfile.Read(path, sqlfile.MaxRead)
		if err != nil {
			return nil, wrong(err.Error())
		}
		file := sqlfile.Parse(name, content)
		switch {
		case !checkName.MatchString(name):
			return nil, wrong("its name has other characters than letters, digits, hyphens, underscores and dots")
		case seen[name]:
			return nil, wrong("another one of the list has the same name")
		case file.Problem != nil:
			return nil, wrong(file.Problem.Error())
		case len(file.Statements) == 0:
			return nil, wrong(runner.NothingToCheck)
		case file.Size > sqlfile.MaxSize:
			return nil, wrong(fmt.Sprintf("it has %d bytes, and at most %d can travel to the cluster in a ConfigMap", file.Size, sqlfile.MaxSize))
		}
		seen[name] = true
		out = append(out, &File{File: file, Content: content, from: path})
	}
	slices.SortFunc(out, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// ParseChecks has PostgreSQL's parser read files of ReadChecks. The error is a *FilesError where it does not understand a statement. It
// costs what the linter costs: to be called only where they will run.
func ParseChecks(ctx context.Context, files []*File) error {
	for _, file := range files {
		report, err := lint.Lint(ctx, nil, []*sqlfile.File{file.File}, lint.Options{})
		if err != nil {
			return err
		}
		for _, finding := range report.Errors() {
			if finding.Rule == lint.NotAnalyzed {
				return &FilesError{
					Directory: filepath.Dir(file.from),
					File:      file.Name,
					Reason:    fmt.Sprintf("line %d: %s", finding.Line, strings.TrimSuffix(finding.Reason, ".")),
				}
			}
		}
	}
	return nil
}

// ValidateDigest is of what has been validated: the files that are applied, and those that check them. It is empty where none do.
func ValidateDigest(applied map[string]string, validate []*File) string {
	if len(validate) == 0 {
		return ""
	}
	parts := []string{"validate"}
	for _, name := range slices.Sorted(maps.Keys(applied)) {
		parts = append(parts, "applied", name, applied[name])
	}
	for _, file := range validate {
		parts = append(parts, "file", file.Name, file.Checksum)
	}
	return digest(parts)
}

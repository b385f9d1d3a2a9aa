// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package corpus reads migrations that are labeled with what the linter has to say of them.
//
// A case is a file, or a directory of files that are analyzed together. Comments of the form "-- corpus: key value" say what
// is known: "errors" and "warnings" are the rules that must speak, separated by blanks, and no others may; without them the
// case is safe. "postgres" and "small" are options of the linter, "history" marks a file that was applied before.
package corpus

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Case is a labeled migration.
type Case struct {
	Name             string // path in the corpus
	Unsafe           bool   // there must be errors
	Errors, Warnings []string
	Options          lint.Options
	History, Pending []*sqlfile.File
}

// Files is the number of labeled files of the case.
func (c *Case) Files() int { return len(c.History) + len(c.Pending) }

// Read reads all cases below the root of a file system, in the order of their names.
func Read(fsys fs.FS) ([]*Case, error) {
	byName := map[string]*Case{}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".sql") {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		// topic/case.sql, or topic/case/00001_file.sql
		caseName := strings.TrimSuffix(name, ".sql")
		if strings.Count(name, "/") > 1 {
			caseName = path.Dir(name)
		}
		c := byName[caseName]
		if c == nil {
			c = &Case{Name: caseName}
			byName[caseName] = c
		}
		return c.add(path.Base(name), string(content))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w", err)
	}
	cases := make([]*Case, 0, len(byName))
	for _, c := range byName {
		c.Unsafe = len(c.Errors) > 0
		sqlfile.Sort(c.History)
		sqlfile.Sort(c.Pending)
		cases = append(cases, c)
	}
	slices.SortFunc(cases, func(a, b *Case) int { return strings.Compare(a.Name, b.Name) })
	return cases, nil
}

func (c *Case) add(name, content string) error {
	history := false
	for line := range strings.SplitSeq(content, "\n") {
		label, is := strings.CutPrefix(line, "-- corpus: ")
		if !is {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimSpace(label), " ")
		switch key {
		case "errors":
			c.Errors = append(c.Errors, strings.Fields(value)...)
		case "warnings":
			c.Warnings = append(c.Warnings, strings.Fields(value)...)
		case "small":
			c.Options.SmallTables = append(c.Options.SmallTables, strings.Fields(value)...)
		case "history":
			history = true
		case "postgres":
			version, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("%s: postgres %q: %w", name, value, err)
			}
			c.Options.Postgres = version
		default:
			return fmt.Errorf("%s: there is no label %q", name, key)
		}
	}
	file := sqlfile.Parse(name, []byte(content))
	if history {
		c.History = append(c.History, file)
	} else {
		c.Pending = append(c.Pending, file)
	}
	return nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

// ReadDir reads the SQL files of a directory in the order in which they run: by the number at the start of their
// names, then by name. If the directory itself has none, those of the directories below it are read (one directory for each
// migration, as with Prisma). Down migrations (name.down.sql, U1__name.sql and similar names) are left out.
func ReadDir(dir string) ([]*File, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("reading migrations: %s is not a directory", dir)
	}
	return ReadFS(os.DirFS(dir))
}

// ReadFS is ReadDir for a file system.
func ReadFS(fsys fs.FS) ([]*File, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	if len(names) == 0 {
		err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".sql") {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading migrations: %w", err)
		}
	}
	files := make([]*File, 0, len(names))
	for _, name := range names {
		if isDownMigration(name) {
			continue
		}
		content, err := regularfile.ReadFS(fsys, name, MaxRead)
		if err != nil {
			return nil, fmt.Errorf("reading migration %s: %w", name, err)
		}
		files = append(files, Parse(name, content))
	}
	Sort(files)
	return files, nil
}

// Sort puts files into the order in which they run. Files without a number come last.
func Sort(files []*File) {
	slices.SortStableFunc(files, func(a, b *File) int {
		if (a.Version < 0) != (b.Version < 0) {
			return cmp.Compare(b.Version, a.Version)
		}
		return cmp.Or(cmp.Compare(a.Version, b.Version), strings.Compare(a.Name, b.Name))
	})
}

// version is the number that a name starts with, also after a V (Flyway), or -1.
func version(name string) int64 {
	for _, part := range []string{path.Base(name), path.Dir(name)} {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "V"), "v")
		digits := len(part) - len(strings.TrimLeft(part, "0123456789"))
		if n, err := strconv.ParseInt(part[:digits], 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"os"
	"path/filepath"
	"regexp"
)

var digestForm = regexp.MustCompile(`^sha256:([0-9a-f]{64})$`)

// cache keeps archives by digest in a folder. Without a folder, it keeps none.
type cache struct{ folder string }

// path is the file of an archive with this digest; empty if there is no cache.
func (c cache) path(digest string) string {
	hash := digestForm.FindStringSubmatch(digest)
	if hash == nil || c.folder == "" {
		return ""
	}
	return filepath.Join(c.folder, "sha256", hash[1]+".tgz")
}

// archive returns the archive with this digest, or nil. A file whose content does not match its name is removed.
func (c cache) archive(digest string) []byte {
	path := c.path(digest)
	if path == "" {
		return nil
	}
	archive, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if archiveDigest(archive) != digest {
		// A failed removal does not matter: the file is checked at each use.
		_ = os.Remove(path)
		return nil
	}
	return archive
}

// store keeps an archive. It cannot fail, see NewLoader. Another process may store the same archive at the same moment: the file
// is complete when it appears, by a rename.
func (c cache) store(digest string, archive []byte) {
	path := c.path(digest)
	if path == "" || os.MkdirAll(filepath.Dir(path), 0o755) != nil {
		return
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".incoming-*")
	if err != nil {
		return
	}
	_, errWrite := temporary.Write(archive)
	errClose := temporary.Close()
	if errWrite != nil || errClose != nil || os.Rename(temporary.Name(), path) != nil {
		_ = os.Remove(temporary.Name())
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

// clientEntry is the cache's record of a client: the inputs of its files, and their fingerprints.
type clientEntry struct {
	Stages  []string
	Inputs  []input
	Outputs []input
	// Folder is the stamp of the client's folder in the generated tree, if it contained only folders of Stages.
	Folder stamp
	// Places and Tags (their names) are compared with those of all other clients.
	Places []place
	Tags   []string
}

// isCurrent compares all files of a client with the cached fingerprints. Files in folder belong to this client only.
func (c *clientEntry) isCurrent(o *observer, folder string) bool {
	for i := range c.Inputs {
		in := &c.Inputs[i]
		// The first one was read before, to find out whether this folder is a client.
		own := i > 0 && len(in.Path) > len(folder) && in.Path[len(folder)] == filepath.Separator && in.Path[:len(folder)] == folder
		var s *sight
		if own {
			s = o.see(in.Path)
		} else {
			s = o.seeOnce(in.Path)
		}
		if !o.isSame(in, s) {
			return false
		}
	}
	for i := range c.Outputs {
		if out := &c.Outputs[i]; !o.isSame(out, o.see(out.Path)) {
			return false
		}
	}
	return true
}

// basis is the fingerprint of what all clients depend on: engine, description and chart.
func (f *Fleet) basis(description []byte) (sum, error) {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "engine %d, cache 3, program %s\n", Engine, program())
	own := sha256.Sum256(description)
	hash.Write(own[:])
	if f.Chart != nil {
		_, _ = fmt.Fprintf(hash, "\n%q %q %q\n", f.Chart.Repository, f.Chart.Name, f.Chart.Version)
		if f.Chart.Path != "" {
			path := f.Chart.Path
			if !filepath.IsAbs(path) {
				path = filepath.Join(f.Dir, path)
			}
			err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				content, err := regularfile.Read(file, chart.MaxArchive)
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(hash, "%q %x\n", file, sha256.Sum256(content))
				return nil
			})
			if errors.Is(err, fs.ErrNotExist) {
				return sum{}, &DescriptionError{
					File:   filepath.Join(f.Dir, FileName),
					Reason: fmt.Sprintf("chart.path is %q, and there is no %s", f.Chart.Path, path),
					Err:    err,
				}
			}
			if err != nil {
				return sum{}, fmt.Errorf("reading the chart of %s: %w", filepath.Join(f.Dir, FileName), err)
			}
		}
	}
	return sum(hash.Sum(nil)[:16]), nil
}

// program identifies the build of this program: another build may report other findings.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	found, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", found.Size(), found.ModTime().UnixNano())
}

// CachePath is where the cache of a fleet is kept by default: in the user's cache folder, named after the fleet's folder. It is empty
// if there is no such folder.
func CachePath(dir string) string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	name := sha256.Sum256([]byte(absolute))
	// The paths in it are relative to the working directory.
	if here, err := os.Getwd(); err == nil {
		name = sha256.Sum256([]byte(absolute + "\x00" + here))
	}
	return filepath.Join(base, "slipway", "fleet", hex.EncodeToString(name[:12]))
}

// loadCache returns an empty cache if the file is missing, damaged or of another basis: a cache only saves work.
func loadCache(path string, basis sum) map[string]clientEntry {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil || len(content) < sha256.Size {
		return nil
	}
	check, body := content[:sha256.Size], content[sha256.Size:]
	if actual := sha256.Sum256(body); !bytes.Equal(actual[:], check) {
		return nil
	}
	return decodeCache(body, basis)
}

// saveCache writes the entries for the next run. A cache that cannot be written is removed.
func saveCache(path string, basis sum, clients map[string]clientEntry) {
	if path == "" {
		return
	}
	body := encodeCache(basis, clients)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return
	}
	made, err := os.CreateTemp(filepath.Dir(path), ".cache-*")
	if err != nil {
		return
	}
	check := sha256.Sum256(body)
	out := bufio.NewWriter(made)
	_, _ = out.Write(check[:]) // Flush reports the error
	_, _ = out.Write(body)
	if out.Flush() != nil || made.Close() != nil || os.Rename(made.Name(), path) != nil {
		_ = os.Remove(made.Name()) // nothing more to do
	}
}

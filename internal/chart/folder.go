// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// MaxArchive is the size limit of a packed chart in bytes; Helm itself limits the unpacked size.
const MaxArchive = 100 << 20

// folderOnce is a chart from a path, and the fingerprint of its files when it was read.
type folderOnce struct {
	fingerprint string
	chart       *Chart
}

// folders are the charts that this process has read from paths. Safe for concurrent use.
type folders struct {
	mu   sync.Mutex
	read map[string]folderOnce // by absolute path
}

// chart reads a folder or archive, unless the fingerprint of its files has not changed.
func (f *folders) chart(given, path string) (*Chart, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFoundError{Place: given, Available: siblings(path)}
	}
	if err != nil {
		return nil, &SourceError{Field: "path", Reason: fmt.Sprintf("cannot read %s: %v", given, cause(err))}
	}
	fingerprint := fingerprintOf(path)
	f.mu.Lock()
	once := f.read[path]
	f.mu.Unlock()
	if once.chart != nil && fingerprint != "" && once.fingerprint == fingerprint {
		return once.chart, nil
	}
	read := readArchiveFile
	if info.IsDir() {
		read = readFolder
	}
	c, err := read(given, path)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.read[path] = folderOnce{fingerprint: fingerprint, chart: c}
	f.mu.Unlock()
	return c, nil
}

func readFolder(given, path string) (*Chart, error) {
	if _, err := os.Stat(filepath.Join(path, "Chart.yaml")); errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFoundError{Place: given}
	}
	// Helm walks the folder and honors .helmignore; its raw files are those of a packed chart.
	parsed, err := loader.LoadDir(path)
	if err != nil {
		return nil, invalid(given, err)
	}
	files := make([]*loader.BufferedFile, len(parsed.Raw))
	for i, file := range parsed.Raw {
		files[i] = &loader.BufferedFile{Name: file.Name, Data: file.Data}
	}
	return newChart(given, listingDigest(files), files)
}

func readArchiveFile(given, path string) (*Chart, error) {
	archive, err := regularfile.Read(path, MaxArchive)
	if large, ok := errors.AsType[*regularfile.TooLargeError](err); ok {
		return nil, &InvalidError{Chart: given, Reason: large.Error() + ", and a packed chart has at most that", Err: err}
	}
	if err != nil {
		return nil, &SourceError{Field: "path", Reason: fmt.Sprintf("cannot read %s: %v", given, cause(err))}
	}
	return fromArchive(given, archive)
}

// fromArchive unpacks a .tgz in memory.
func fromArchive(place string, archive []byte) (*Chart, error) {
	if !bytes.HasPrefix(archive, []byte{0x1f, 0x8b}) {
		return nil, &InvalidError{Chart: place, Reason: "it is no packed chart (a .tgz file)"}
	}
	files, err := loader.LoadArchiveFiles(bytes.NewReader(archive))
	if err != nil {
		return nil, invalid(place, err)
	}
	return newChart(place, archiveDigest(archive), files)
}

// fingerprintOf is computed from names, sizes and times of all files; it is empty if they are not sufficient (links to folders,
// files that cannot be read).
func fingerprintOf(path string) string {
	var out strings.Builder
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 && info.IsDir() {
			return errors.New("a link to a folder")
		}
		fmt.Fprintf(&out, "%q %d %d %s\n", name, info.Size(), info.ModTime().UnixNano(), info.Mode())
		return nil
	})
	if err != nil {
		return ""
	}
	return out.String()
}

// siblings are the charts near a path that does not exist, by name.
func siblings(path string) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if nearest := values.Nearest(filepath.Base(path), names); nearest != "" {
		return []string{nearest}
	}
	return nil
}

// cause removes operation and path from a file system error, since the caller names them.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

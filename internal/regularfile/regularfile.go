// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package regularfile reads the files that users name. What has no end, or what makes a reader wait for a writer, is refused before it
// is opened, and what is too large before it is in memory.
package regularfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrIrregular means a named pipe, a socket or a device.
var ErrIrregular = errors.New("it is a named pipe, a socket or a device, not a regular file")

// TooLargeError means that a file has more bytes than what it is read for can have.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string { return "it has more than " + Size(e.Limit) }

// Size is a number of bytes for people: "900 KiB", "100 MiB".
func Size(bytes int64) string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if shift := 30 - 10*i; bytes >= 1<<shift && bytes%(1<<shift) == 0 {
			return fmt.Sprintf("%d %s", bytes>>shift, unit)
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// Read reads a file of at most limit bytes. Errors are *fs.PathError, about ErrIrregular, a *TooLargeError, or what the system says.
func Read(path string, limit int64) ([]byte, error) {
	return read(path, limit, os.Stat, func(path string) (fs.File, error) { return os.Open(path) })
}

// ReadFS is Read for a file system.
func ReadFS(fsys fs.FS, name string, limit int64) ([]byte, error) {
	return read(name, limit, func(name string) (fs.FileInfo, error) { return fs.Stat(fsys, name) }, fsys.Open)
}

func read(path string, limit int64, stat func(string) (fs.FileInfo, error), open func(string) (fs.File, error)) (_ []byte, err error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() && !mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrIrregular}
	}
	tooLarge := &fs.PathError{Op: "read", Path: path, Err: &TooLargeError{Limit: limit}}
	if info.Size() > limit && !info.IsDir() {
		return nil, tooLarge
	}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// The size of some files, such as those of /proc, is known when they are read.
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, tooLarge
	}
	return content, nil
}

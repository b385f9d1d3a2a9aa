// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package regularfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRead_RefusesWhatHasNoEndOrTooManyBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, "/dev/zero"} {
		if _, err := Read(path, 10); !errors.Is(err, ErrIrregular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := ReadFS(os.DirFS(dir), "pipe", 10); !errors.Is(err, ErrIrregular) {
		t.Errorf("in a file system: %v", err)
	}
	if content, err := Read(file, 5); err != nil || string(content) != "12345" {
		t.Errorf("as large as it may be: %q, %v", content, err)
	}
	var large *TooLargeError
	if _, err := Read(file, 4); !errors.As(err, &large) || large.Error() != "it has more than 4 bytes" {
		t.Errorf("one byte too many: %v", err)
	}
	// The system says that it has no bytes.
	if _, err := Read("/proc/self/status", 4); !errors.As(err, &large) {
		t.Errorf("a file of /proc: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "absent"), 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestSize_IsForPeople(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{
		4: "4 bytes", 900 << 10: "900 KiB", 100 << 20: "100 MiB", 1 << 30: "1 GiB", 1<<20 + 1: "1048577 bytes",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: %s", bytes, got)
		}
	}
}

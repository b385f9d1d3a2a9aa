// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package debian

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnpack_FetchesOnceAndInstallsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a package")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("there is no apt-get")
	}
	t.Setenv("SLIPWAY_CACHE", t.TempDir())
	dir, err := Unpack(t.Context(), "hello")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "usr", "bin", "hello")
	before, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program).Output(); err != nil || !strings.Contains(string(out), "Hello") {
		t.Errorf("the program prints %q (%v)", out, err)
	}
	if out, err := exec.Command("dpkg", "--status", "hello").CombinedOutput(); err == nil {
		t.Errorf("the package is installed on this machine:\n%s", out)
	}

	// Not even apt-get is needed the second time.
	t.Setenv("PATH", t.TempDir())
	again, err := Unpack(t.Context(), "hello")
	if err != nil || again != dir {
		t.Fatalf("the second time: %s, %v", again, err)
	}
	if after, err := os.Stat(program); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was unpacked again (%v)", err)
	}
	if _, err := Unpack(t.Context(), "prometheus"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without apt-get: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 1 {
		t.Errorf("there are leftovers next to the package: %v, %v", left, err)
	}
}

func TestDistribution_DistinguishesReleases(t *testing.T) {
	for text, want := range map[string]string{
		"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n": "debian-12",
		"ID=ubuntu\nVERSION_ID=\"24.04\"\n":                                              "ubuntu-24.04",
		"ID=debian\n":                                                                    "debian",
	} {
		file := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := distribution(file); err != nil || got != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	if _, err := distribution(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without the file: %v", err)
	}
}

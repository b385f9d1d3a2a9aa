// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"crypto/sha256"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestDataCollection_IsAStaticProgramThatReportsItsVersion(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the program of the image is run, which needs Linux")
	}
	t.Setenv("SLIPWAY_CACHE", t.TempDir())
	archive, err := DataCollection(t.Context(), Version{Tag: "v9.8.7"})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(DataCollectionReference("v9.8.7"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	file, ok := contents(t, img)["/data-collection"]
	if !ok || file.mode != 0o755 {
		t.Fatalf("the image has no program /data-collection with mode 755 (mode %o)", file.mode)
	}

	program, err := elf.NewFile(strings.NewReader(file.content))
	if err != nil {
		t.Fatal(err)
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the program is not static: it requires a dynamic linker, which the image does not have")
		}
	}
	local := filepath.Join(t.TempDir(), "data-collection")
	if err := os.WriteFile(local, []byte(file.content), 0o755); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), local, "version").Output(); err != nil || string(output) != "v9.8.7\n" {
		t.Errorf("the program prints %q (%v), want its version", output, err)
	}
}

func TestDataCollection_IsBuiltOnceAndTheSameEverywhere(t *testing.T) {
	first := t.TempDir()
	t.Setenv("SLIPWAY_CACHE", first)
	archive, err := DataCollection(t.Context(), Version{Tag: "v1.1.1"})
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DataCollection(t.Context(), Version{Tag: "v1.1.1"})
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(again)
	if err != nil {
		t.Fatal(err)
	}
	if again != archive || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the archive was built again: %s %v, %s %v", archive, before.ModTime(), again, after.ModTime())
	}

	t.Setenv("SLIPWAY_CACHE", t.TempDir())
	elsewhere, err := DataCollection(t.Context(), Version{Tag: "v1.1.1"})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(elsewhere) != filepath.Base(archive) {
		t.Errorf("the same sources have two names: %s and %s", archive, elsewhere)
	}
	if hash(t, elsewhere) != hash(t, archive) {
		t.Error("the same sources give two different archives")
	}
}

func hash(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}

func TestDataCollectionImages_PutsVersionsIntoOneArchive(t *testing.T) {
	t.Setenv("SLIPWAY_CACHE", t.TempDir())
	archive := filepath.Join(t.TempDir(), "both.tar")
	if err := DataCollectionImages(t.Context(), archive, Version{Tag: "v1.1.1"}, Version{Tag: "v1.2.0"}); err != nil {
		t.Fatal(err)
	}
	manifest, err := tarball.LoadManifest(opener(archive))
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, described := range manifest {
		tags = append(tags, described.RepoTags...)
	}
	if want := "registry.company.com/data-collection:v1.1.1 registry.company.com/data-collection:v1.2.0"; strings.Join(tags, " ") != want {
		t.Errorf("the archive holds %v, want %s", tags, want)
	}
}

func TestDataCollection_BuildsFaultsIntoTheImage(t *testing.T) {
	t.Setenv("SLIPWAY_CACHE", t.TempDir())
	paths := map[string]bool{}
	for text, want := range map[string][]string{
		"v1.2.1":                                 {"PATH=/"},
		"v1.2.1:ERROR_SHARE=0.2,ERROR_AFTER=10s": {"PATH=/", "ERROR_SHARE=0.2", "ERROR_AFTER=10s"},
	} {
		version, err := ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		archive, err := DataCollection(t.Context(), version)
		if err != nil {
			t.Fatal(err)
		}
		paths[archive] = true
		img, err := tarball.ImageFromPath(archive, nil)
		if err != nil {
			t.Fatal(err)
		}
		if config, err := img.ConfigFile(); err != nil || !slices.Equal(config.Config.Env, want) {
			t.Errorf("%s: the image has the environment %v (%v), want %v", text, config.Config.Env, err, want)
		}
	}
	if len(paths) != 2 {
		t.Errorf("an image with faults and one without have the same archive: %v", paths)
	}
}

func TestParseVersion_RefusesWhatIsNoTagOrFault(t *testing.T) {
	for text, want := range map[string]string{
		"": "cannot be the tag", "v1 2": "cannot be the tag", "-s": "cannot be the tag", "v1.0.0+build": "cannot be the tag",
		"v1.2.1:": "not NAME=value", "v1.2.1:slow": "not NAME=value", "v1.2.1:LATENCY=": "not NAME=value",
	} {
		if _, err := ParseVersion(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", text, err, want)
		}
	}
}

func TestContentKey_FollowsTheSourcesOnly(t *testing.T) {
	module := t.TempDir()
	write := func(file, content string) {
		t.Helper()
		path := filepath.Join(module, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		t.Helper()
		k, err := contentKey(module, "part")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write("go.mod", "module m\n")
	write("internal/a/a.go", "package a\n")
	last := key()

	for _, file := range []string{"README.md", "a_test.go", "chart/values.yaml", "chart/x.go", "testdata/x.go"} {
		write(file, "x")
		if got := key(); got != last {
			t.Errorf("%s changes the key", file)
		}
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(module, "go.mod"), later, later); err != nil {
		t.Fatal(err)
	}
	if got := key(); got != last {
		t.Error("the time of a file changes the key")
	}
	for _, file := range []string{"go.mod", "go.sum", "internal/a/a.go", "internal/a/b.go"} {
		write(file, "package a // changed\n")
		if got := key(); got == last {
			t.Errorf("%s does not change the key", file)
		} else {
			last = got
		}
	}
	if other, err := contentKey(module, "other part"); err != nil || other == last {
		t.Errorf("another part does not change the key (%v)", err)
	}
}

func opener(archive string) tarball.Opener {
	return func() (io.ReadCloser, error) { return os.Open(archive) }
}

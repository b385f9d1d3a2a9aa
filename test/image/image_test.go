// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

type entry struct {
	mode    int64
	content string
}

// contents are the files of an image as a container would see them.
func contents(t *testing.T, img v1.Image) map[string]entry {
	t.Helper()
	found := map[string]entry{}
	layers := mutate.Extract(img)
	defer func() {
		if err := layers.Close(); err != nil {
			t.Error(err)
		}
	}()
	for archive := tar.NewReader(layers); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %v; want 0:0 and 1970", header.Name, header.Uid, header.Gid, header.ModTime)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		found["/"+header.Name] = entry{mode: header.Mode, content: string(content)}
	}
}

func build(t *testing.T, spec Spec) v1.Image {
	t.Helper()
	img, err := Build(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestBuild_ContainsTheFilesWithTheirModesAndTheUser(t *testing.T) {
	source := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(source, []byte("\x7fELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	img := build(t, Spec{
		Files: []File{
			{Path: "/usr/bin/program", Source: source, Mode: 0o755},
			{Path: "/etc/settings", Content: []byte("a=b\n")},
		},
		Entrypoint: []string{"/usr/bin/program"},
		Cmd:        []string{"serve"},
		Env:        []string{"A=1"},
		Labels:     map[string]string{"l": "v"},
		Ports:      []string{"8080/tcp"},
	})

	found := contents(t, img)
	want := map[string]entry{
		"/etc":             {0o755, ""},
		"/etc/group":       {0o644, group},
		"/etc/passwd":      {0o644, passwd},
		"/etc/settings":    {0o644, "a=b\n"},
		"/tmp":             {0o1777, ""},
		"/usr":             {0o755, ""},
		"/usr/bin":         {0o755, ""},
		"/usr/bin/program": {0o755, "\x7fELF"},
	}
	if !maps.Equal(found, want) {
		t.Errorf("the image holds\n%v\nwant\n%v", found, want)
	}
	if !strings.Contains(passwd, "nonroot:x:65532:65532:") {
		t.Errorf("passwd has no user 65532:\n%s", passwd)
	}

	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if config.OS != "linux" || config.Architecture == "" || config.Created.Unix() != 0 || c.User != "65532:65532" || c.WorkingDir != "/" ||
		!slices.Equal(c.Entrypoint, []string{"/usr/bin/program"}) || !slices.Equal(c.Cmd, []string{"serve"}) ||
		!slices.Contains(c.Env, "A=1") || c.Labels["l"] != "v" || len(c.ExposedPorts) != 1 {
		t.Errorf("unexpected configuration: %+v of %+v", c, config)
	}
}

func TestBuild_IsDeterministic(t *testing.T) {
	files := []File{
		{Path: "/b", Content: []byte("b"), Mode: 0o755},
		{Path: "/a/x", Content: []byte("x")},
		{Path: "/a/y", Content: []byte("y")},
	}
	spec := Spec{Files: files, Labels: map[string]string{"one": "1", "two": "2", "three": "3"}, Ports: []string{"1/tcp", "2/tcp"}}
	want := digest(t, build(t, spec))

	reversed := slices.Clone(files)
	slices.Reverse(reversed)
	spec.Files = reversed
	if got := digest(t, build(t, spec)); got != want {
		t.Errorf("the order of the files changes the digest: %s, %s", got, want)
	}

	for what, change := range map[string]func(*Spec){
		"content":    func(s *Spec) { s.Files[0].Content = []byte("other") },
		"mode":       func(s *Spec) { s.Files[0].Mode = 0o700 },
		"path":       func(s *Spec) { s.Files[0].Path = "/c" },
		"entrypoint": func(s *Spec) { s.Entrypoint = []string{"/b"} },
		"label":      func(s *Spec) { s.Labels = map[string]string{"one": "1"} },
		"user":       func(s *Spec) { s.User = "0:0" },
	} {
		changed := spec
		changed.Files = slices.Clone(files)
		change(&changed)
		if got := digest(t, build(t, changed)); got == want {
			t.Errorf("another %s gives the same digest", what)
		}
	}
}

func TestBuild_RefusesWhatAnImageCannotContain(t *testing.T) {
	for name, test := range map[string]struct {
		files []File
		want  string
	}{
		"relative path":    {[]File{{Path: "a"}}, "absolute"},
		"path with dots":   {[]File{{Path: "/a/../b"}}, "absolute and clean"},
		"the root":         {[]File{{Path: "/"}}, "absolute and clean"},
		"twice":            {[]File{{Path: "/a"}, {Path: "/a"}}, "given twice"},
		"file in a file":   {[]File{{Path: "/a"}, {Path: "/a/b"}}, "/a is a file and the directory of /a/b"},
		"not a plain file": {[]File{{Path: "/a", Mode: fs.ModeSymlink}}, "not one of a plain file"},
		"no such source":   {[]File{{Path: "/a", Source: "testdata/none"}}, "file /a: open testdata/none"},
		"tmp":              {[]File{{Path: "/tmp"}}, "/tmp is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Build(t.Context(), Spec{Files: test.files})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestBuild_StopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, Spec{Files: []File{{Path: "/a"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
}

func TestSaveAll_WritesAnArchiveThatGivesTheImagesBack(t *testing.T) {
	one, two := build(t, Spec{Files: []File{{Path: "/one"}}}), build(t, Spec{Files: []File{{Path: "/two"}}})
	dir := t.TempDir()
	archive := filepath.Join(dir, "images.tar")
	images := map[string]v1.Image{"registry.company.com/app:v1": one, "registry.company.com/app:v2": two}
	if err := SaveAll(archive, images); err != nil {
		t.Fatal(err)
	}

	for reference, img := range images {
		tag, err := name.NewTag(reference, name.StrictValidation)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := tarball.ImageFromPath(archive, &tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(loaded); err != nil {
			t.Errorf("%s is not consistent: %v", reference, err)
		}
		want, err := img.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := loaded.ConfigName(); err != nil || got != want {
			t.Errorf("%s: image id %v (%v), want %v", reference, got, err, want)
		}
		if !maps.Equal(contents(t, loaded), contents(t, img)) {
			t.Errorf("%s: the contents differ", reference)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("there are leftovers next to the archive: %v, %v", left, err)
	}
}

func TestSave_RefusesAReferenceWithoutATag(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := Save(archive, "registry.company.com/app", build(t, Spec{})); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(archive); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an archive was written: %v", err)
	}
}

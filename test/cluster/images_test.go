// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestArchiveReferences_AreTheNamesThatContainerdUses(t *testing.T) {
	for _, test := range []struct {
		name, file, content string
		want                []string
		wantErr             string
	}{
		{
			name: "docker save", file: "manifest.json",
			content: `[{"Config":"c.json","RepoTags":["app:1","registry.example.com/team/app:1.0"]},{"Config":"d.json","RepoTags":["app:1"]}]`,
			want:    []string{"docker.io/library/app:1", "registry.example.com/team/app:1.0"},
		},
		{
			name: "OCI layout", file: "./index.json",
			content: `{"schemaVersion":2,"manifests":[{"digest":"sha256:` + strings.Repeat("a", 64) +
				`","annotations":{"io.containerd.image.name":"localhost:5000/app:2"}}]}`,
			want: []string{"localhost:5000/app:2"},
		},
		{name: "no name", file: "manifest.json", content: `[{"Config":"c.json"}]`, wantErr: "names no image"},
		{name: "bad name", file: "manifest.json", content: `[{"RepoTags":["UPPER CASE"]}]`, wantErr: `"UPPER CASE"`},
		{name: "bad JSON", file: "manifest.json", content: `[`, wantErr: "manifest.json"},
		{name: "another tar", file: "other", content: "x", wantErr: "names no image"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			if err := w.WriteHeader(&tar.Header{Name: test.file, Size: int64(len(test.content)), Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, test.content); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "image.tar")
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := archiveReferences(path)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error %v; want one that has %q", err, test.wantErr)
				}
				return
			}
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestWriteImage_IsReproducibleAndContainsTheFiles(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	path := filepath.Join(dir, "image.tar")
	for i := range archives {
		if err := WriteImage(path, "example.com/app:1", []string{"/usr/bin/app"},
			map[string]string{"/usr/bin/app": program, "/app": program}); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same input gives different archives")
	}

	tag, err := name.NewTag("example.com/app:1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || config.OS != "linux" || !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/app"}) {
		t.Errorf("config %+v, %v", config, err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v; want 1", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
	}
	for file, mode := range map[string]int64{
		"tmp/": 0o1777, "etc/passwd": 0o644, "usr/": 0o755, "usr/bin/": 0o755, "usr/bin/app": 0o755, "app": 0o755,
	} {
		if got, ok := modes[file]; !ok || got != mode {
			t.Errorf("%s has mode %o (there: %t); want %o", file, got, ok, mode)
		}
	}
	if err := WriteImage(path, "example.com/app:1", nil, map[string]string{"relative": program}); err == nil {
		t.Error("a relative path in the image is accepted")
	}
}

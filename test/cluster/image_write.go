// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// WriteImage writes an image with one layer to an archive that Load accepts. Files maps absolute paths in the image to
// files of the host, which are made executable; programs among them must be static, since the image holds nothing else
// but /tmp and /etc/passwd. The same input gives the same bytes.
func WriteImage(archive, reference string, entrypoint []string, files map[string]string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("making image %s: %w", reference, err)
	}
	layer, err := layerOf(files)
	if err != nil {
		return fmt.Errorf("making image %s: %w", reference, err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return fmt.Errorf("making image %s: %w", reference, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("making image %s: %w", reference, err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: entrypoint, Env: []string{"PATH=/bin:/usr/bin"}, WorkingDir: "/"}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return fmt.Errorf("making image %s: %w", reference, err)
	}
	tmp := archive + ".tmp"
	if err := tarball.WriteToFile(tmp, tag, image); err != nil {
		return errors.Join(fmt.Errorf("writing image %s: %w", reference, err), ignoreNotExist(os.Remove(tmp)))
	}
	return os.Rename(tmp, archive)
}

func layerOf(files map[string]string) (v1.Layer, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(h tar.Header, content []byte) error {
		h.Size, h.ModTime = int64(len(content)), time.Unix(0, 0)
		h.Name = strings.TrimPrefix(h.Name, "/")
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := errors.Join(
		add(tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil),
		add(tar.Header{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755}, nil),
		add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644},
			[]byte("root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")),
	); err != nil {
		return nil, err
	}
	made := map[string]bool{"/": true, "/tmp": true, "/etc": true}
	for _, target := range slices.Sorted(maps.Keys(files)) {
		if !filepath.IsAbs(target) {
			return nil, fmt.Errorf("path %q in the image is not absolute", target)
		}
		for _, dir := range directoriesAbove(target) {
			if !made[dir] {
				made[dir] = true
				if err := add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil); err != nil {
					return nil, err
				}
			}
		}
		content, err := os.ReadFile(files[target])
		if err != nil {
			return nil, err
		}
		if err := add(tar.Header{Typeflag: tar.TypeReg, Name: target, Mode: 0o755}, content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(out.Bytes())), nil
	})
}

// directoriesAbove returns the directories that path is in, the outermost first.
func directoriesAbove(path string) []string {
	var dirs []string
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	return dirs
}

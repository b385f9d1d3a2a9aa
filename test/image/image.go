// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package image makes container images from static programs, without Docker, a base image or a registry, so that tests
// and the demo can run what was built here.
package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
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

// NonRoot is the default user and group of images.
const NonRoot = 65532

// Every image has these in addition to its own files. A file of the same path in a Spec replaces them.
var (
	passwd = fmt.Sprintf("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%[1]d:%[1]d:nonroot:/:/sbin/nologin\n", NonRoot)
	group  = fmt.Sprintf("root:x:0:\nnonroot:x:%d:\n", NonRoot)
)

// File is a file of an image, owned by root. Its content is that of the file Source on this machine, or Content where
// Source is empty.
type File struct {
	Path    string      // absolute, in the image
	Mode    fs.FileMode // permission bits; 0 is 0644
	Source  string
	Content []byte
}

// Spec is the content of an image.
type Spec struct {
	Files      []File
	Entrypoint []string
	Cmd        []string
	Env        []string // NAME=value
	Labels     map[string]string
	Ports      []string // for example "8080/tcp"; only a note to the reader
	User       string   // default "65532:65532"
	WorkingDir string   // default "/"
	// Architecture is Go's name of the processor, by default that of this machine.
	Architecture string
}

// Build makes an image with one layer. The same Spec with the same file contents gives the same digest: times are zero,
// and files are in the order of their paths.
func Build(ctx context.Context, spec Spec) (v1.Image, error) {
	content, err := layerContent(ctx, spec.Files)
	if err != nil {
		return nil, fmt.Errorf("making the image's layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return nil, fmt.Errorf("making the image's layer: %w", err)
	}
	created := v1.Time{Time: time.Unix(0, 0).UTC()}
	img, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: created, CreatedBy: "github.com/slipway-dev/terraform-provider-slipway/test/image"},
	})
	if err != nil {
		return nil, fmt.Errorf("adding the layer to the image: %w", err)
	}
	current, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}

	config := current.DeepCopy()
	config.OS = "linux"
	config.Architecture = cmp.Or(spec.Architecture, runtime.GOARCH)
	config.Created = created
	config.Config = v1.Config{
		Entrypoint: spec.Entrypoint,
		Cmd:        spec.Cmd,
		Env:        append([]string{"PATH=/"}, spec.Env...),
		Labels:     spec.Labels,
		User:       cmp.Or(spec.User, fmt.Sprintf("%[1]d:%[1]d", NonRoot)),
		WorkingDir: cmp.Or(spec.WorkingDir, "/"),
	}
	if len(spec.Ports) > 0 {
		config.Config.ExposedPorts = map[string]struct{}{}
		for _, port := range spec.Ports {
			config.Config.ExposedPorts[port] = struct{}{}
		}
	}
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, fmt.Errorf("setting the image's configuration: %w", err)
	}
	return img, nil
}

// Save writes an image to an archive as `docker save` does, which `ctr images import` takes. The reference is a whole
// one with a tag, for example "registry.company.com/data-collection:v1.1.1". The archive appears complete or not at all.
func Save(archive, reference string, img v1.Image) error {
	return SaveAll(archive, map[string]v1.Image{reference: img})
}

// SaveAll writes several images, by reference, to one archive. Layers that they share are written once.
func SaveAll(archive string, images map[string]v1.Image) (err error) {
	tagged := make(map[name.Tag]v1.Image, len(images))
	for reference, img := range images {
		tag, err := name.NewTag(reference, name.StrictValidation)
		if err != nil {
			return fmt.Errorf("saving image %q: %w", reference, err)
		}
		tagged[tag] = img
	}

	partial, err := os.CreateTemp(filepath.Dir(archive), filepath.Base(archive)+".*.partial")
	if err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial.Name()))
		}
	}()
	err = tarball.MultiWrite(tagged, partial)
	if err = errors.Join(err, partial.Chmod(0o644), partial.Close()); err != nil {
		return fmt.Errorf("saving images to %s: %w", archive, err)
	}
	if err := os.Rename(partial.Name(), archive); err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	return nil
}

// layerContent is the tar of the files, their directories, the users and an empty /tmp.
func layerContent(ctx context.Context, files []File) ([]byte, error) {
	byPath := map[string]File{}
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return nil, fmt.Errorf("file %q: the path in an image must be absolute and clean", f.Path)
		}
		if f.Mode&^fs.ModePerm != 0 {
			return nil, fmt.Errorf("file %s: mode %v is not one of a plain file", f.Path, f.Mode)
		}
		if _, twice := byPath[f.Path]; twice {
			return nil, fmt.Errorf("file %s is given twice", f.Path)
		}
		byPath[f.Path] = f
	}
	for _, f := range []File{{Path: "/etc/passwd", Content: []byte(passwd)}, {Path: "/etc/group", Content: []byte(group)}} {
		if _, own := byPath[f.Path]; !own {
			byPath[f.Path] = f
		}
	}

	directories := map[string]int64{"/tmp": 0o1777}
	for p := range byPath {
		for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
			if _, isFile := byPath[dir]; isFile {
				return nil, fmt.Errorf("%s is a file and the directory of %s", dir, p)
			}
			if _, known := directories[dir]; !known {
				directories[dir] = 0o755
			}
		}
	}
	if _, isFile := byPath["/tmp"]; isFile {
		return nil, errors.New("/tmp is a directory in every image")
	}

	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, p := range slices.Sorted(maps.Keys(directories)) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(p, "/") + "/", Mode: directories[p]}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("directory %s: %w", p, err)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := addFile(archive, byPath[p]); err != nil {
			return nil, fmt.Errorf("file %s: %w", p, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func addFile(archive *tar.Writer, f File) error {
	content := f.Content
	if f.Source != "" {
		var err error
		if content, err = os.ReadFile(f.Source); err != nil {
			return err
		}
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(f.Path, "/"),
		Mode:     int64(cmp.Or(f.Mode, 0o644)),
		Size:     int64(len(content)),
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

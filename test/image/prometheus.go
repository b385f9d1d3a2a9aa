// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/test/debian"
)

// PrometheusReference is the image of Prometheus, as test/prometheus/prometheus.yaml names it.
const PrometheusReference = "slipway.local/prometheus:debian"

// Prometheus makes an image of the distribution's Prometheus, and of the program that finds pods for it, and writes it to an
// archive at the given path. It must be called from within the checkout.
func Prometheus(ctx context.Context, archive string) error {
	if err := prometheus(ctx, archive); err != nil {
		return fmt.Errorf("making the image %s: %w", PrometheusReference, err)
	}
	return nil
}

func prometheus(ctx context.Context, archive string) (err error) {
	files, err := debianProgram(ctx, "prometheus", "/usr/bin/prometheus", "libc6")
	if err != nil {
		return err
	}
	root, err := checkout()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "slipway-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	discovery := filepath.Join(work, "discovery")
	if _, err := goCommand(ctx, root, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", discovery,
		"./test/prometheus/discovery"); err != nil {
		return err
	}
	img, err := Build(ctx, Spec{
		Files:      append(files, File{Path: "/usr/bin/discovery", Source: discovery, Mode: 0o755}),
		Entrypoint: []string{"/usr/bin/prometheus"},
		Ports:      []string{"9090/tcp"},
		Labels:     map[string]string{"org.opencontainers.image.title": "prometheus"},
	})
	if err != nil {
		return err
	}
	return Save(archive, PrometheusReference, img)
}

// debianProgram is a program of a package with the dynamic linker and the libraries that it needs, which are in the
// packages of libraries.
func debianProgram(ctx context.Context, pkg, path string, libraries ...string) ([]File, error) {
	dir, err := debian.Unpack(ctx, pkg)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, path)
	interpreter, needed, err := dynamicNeeds(program)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", program, err)
	}
	files := []File{{Path: path, Source: program, Mode: 0o755}}
	var roots []string
	for _, library := range libraries {
		root, err := debian.Unpack(ctx, library)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	if interpreter != "" {
		source, _, err := findLibrary(roots, filepath.Base(interpreter))
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: interpreter, Source: source, Mode: 0o755})
	}
	for _, name := range needed {
		source, target, err := findLibrary(roots, name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: target, Source: source, Mode: 0o755})
	}
	return files, nil
}

// dynamicNeeds are the dynamic linker that a program names and the libraries that it links to. A static program has neither.
func dynamicNeeds(program string) (interpreter string, libraries []string, err error) {
	file, err := elf.Open(program)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		text := make([]byte, segment.Filesz)
		if _, err := segment.ReadAt(text, 0); err != nil {
			return "", nil, err
		}
		interpreter = strings.TrimRight(string(text), "\x00")
	}
	libraries, err = file.ImportedLibraries()
	return interpreter, slices.DeleteFunc(libraries, func(name string) bool { return name == filepath.Base(interpreter) }), err
}

// findLibrary finds a library in unpacked packages, and where it belongs.
func findLibrary(roots []string, name string) (source, target string, err error) {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || entry.Name() != name {
				return err
			}
			// A link may lead out of the package, as /lib64 does on systems where /lib is a link.
			if _, err := os.Stat(path); err != nil {
				return nil //nolint:nilerr // another file of that name is the real one
			}
			source, target = path, strings.TrimPrefix(path, root)
			if entry.Type().IsRegular() {
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil {
			return "", "", err
		}
		if source != "" {
			return source, target, nil
		}
	}
	return "", "", fmt.Errorf("the library %s is in none of %s", name, strings.Join(roots, ", "))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/slipway-dev/terraform-provider-slipway/test/cache"
)

const (
	dataCollectionRepository = "registry.company.com/data-collection"
	dataCollectionModule     = "examples/data-collection"

	// layout is part of the cache's key. Raise it when dataCollectionSpec or Build changes what they make.
	layout = "1"
)

var (
	tagPattern   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	faultPattern = regexp.MustCompile(`^[A-Z][A-Z_]*=[^,]+$`)
)

// DataCollectionReference is the image of the sample service in a version, as its chart names it:
// registry.company.com/data-collection:v1.1.1.
func DataCollectionReference(version string) string {
	return dataCollectionRepository + ":" + version
}

// Version is one version of the sample service.
type Version struct {
	// Tag of the image, such as "v1.1.1", and the version that the program reports.
	Tag string
	// Faults are switches of the service, as NAME=value, that are built into the image: a bad release.
	Faults []string
}

// ParseVersion reads a version as it is given on a command line: v1.1.1, or v1.2.1:ERROR_SHARE=0.2,ERROR_AFTER=10s.
func ParseVersion(text string) (Version, error) {
	tag, faults, some := strings.Cut(text, ":")
	v := Version{Tag: tag}
	if some {
		v.Faults = strings.Split(faults, ",")
	}
	return v, v.validate()
}

func (v Version) validate() error {
	if !tagPattern.MatchString(v.Tag) {
		return fmt.Errorf("version %q cannot be the tag of an image", v.Tag)
	}
	for _, fault := range v.Faults {
		if !faultPattern.MatchString(fault) {
			return fmt.Errorf("version %s: the fault %q is not NAME=value", v.Tag, fault)
		}
	}
	return nil
}

// DataCollection makes the image of the sample service in a version and returns the path of its archive (see Save). All
// versions are the same program, which reports the version that it was given.
//
// Archives are kept by the content of the sources and the version of Go, in the directory images of cache.Dir: where
// nothing has changed, nothing is built. It must be called from within the checkout.
func DataCollection(ctx context.Context, version Version) (string, error) {
	archive, err := dataCollection(ctx, version)
	if err != nil {
		return "", fmt.Errorf("making the image %s: %w", DataCollectionReference(version.Tag), err)
	}
	return archive, nil
}

// DataCollectionImages is DataCollection for several versions, in one archive at the given path.
func DataCollectionImages(ctx context.Context, archive string, versions ...Version) error {
	images := make(map[string]v1.Image, len(versions))
	for _, version := range versions {
		single, err := DataCollection(ctx, version)
		if err != nil {
			return err
		}
		reference := DataCollectionReference(version.Tag)
		tag, err := name.NewTag(reference, name.StrictValidation)
		if err != nil {
			return fmt.Errorf("image %q: %w", reference, err)
		}
		if images[reference], err = tarball.ImageFromPath(single, &tag); err != nil {
			return fmt.Errorf("reading image %s from %s: %w", reference, single, err)
		}
	}
	return SaveAll(archive, images)
}

func dataCollection(ctx context.Context, version Version) (_ string, err error) {
	if err := version.validate(); err != nil {
		return "", err
	}
	root, err := checkout()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, filepath.FromSlash(dataCollectionModule))
	goVersion, err := goCommand(ctx, module, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	key, err := contentKey(module, append([]string{layout, runtime.GOARCH, goVersion}, version.Faults...)...)
	if err != nil {
		return "", fmt.Errorf("reading the sources: %w", err)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	archive := filepath.Join(cache, fmt.Sprintf("data-collection-%s-%s.tar", version.Tag, key))
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}

	work, err := os.MkdirTemp("", "slipway-image-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	program := filepath.Join(work, "data-collection")
	if _, err := goCommand(ctx, module, "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+version.Tag, "-o", program, "."); err != nil {
		return "", err
	}
	img, err := Build(ctx, dataCollectionSpec(program, version))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	return archive, Save(archive, DataCollectionReference(version.Tag), img)
}

func dataCollectionSpec(program string, version Version) Spec {
	return Spec{
		Files:      []File{{Path: "/data-collection", Source: program, Mode: 0o755}},
		Entrypoint: []string{"/data-collection"},
		Cmd:        []string{"serve"},
		Env:        version.Faults,
		Ports:      []string{"8080/tcp", "9090/tcp"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "data-collection",
			"org.opencontainers.image.version":  version.Tag,
			"org.opencontainers.image.source":   "https://github.com/slipway-dev/terraform-provider-slipway",
			"org.opencontainers.image.licenses": "MPL-2.0",
		},
	}
}

// checkout finds the root of this repository from the working directory upwards.
func checkout() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(dataCollectionModule), "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no directory from %s upwards holds %s: run this in a checkout of the repository", start, dataCollectionModule)
		}
	}
}

// cacheDir is where archives are kept. It need not exist yet.
func cacheDir() (string, error) {
	dir, err := cache.Dir()
	return filepath.Join(dir, "images"), err
}

// contentKey is a short hash of the parts and of the files that make up the program of a module.
func contentKey(module string, parts ...string) (string, error) {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(fmt.Appendf(nil, "%q\n", part))
	}
	err := filepath.WalkDir(module, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			// The chart is deployed next to the image, not in it.
			if entry.Name() == "testdata" || file == filepath.Join(module, "chart") {
				return filepath.SkipDir
			}
			return nil
		}
		isSource := strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
		if !isSource && entry.Name() != "go.mod" && entry.Name() != "go.sum" {
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(module, file)
		if err != nil {
			return err
		}
		sum.Write(fmt.Appendf(nil, "%q %x\n", filepath.ToSlash(relative), sha256.Sum256(content)))
		return nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// goCommand runs the go command for a static Linux program and returns what it prints. Nothing in the environment
// but the processor changes what is built.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=", "GOWORK=off")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("go %s in %s: %w\n%s", args[0], dir, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

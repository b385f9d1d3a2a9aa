// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// pauseImage holds the namespaces of every pod. The kubelet never pulls it: it is built here.
const pauseImage = "slipway.local/pause:1"

// LoadedImage is an image that Load made sure the cluster has.
type LoadedImage struct {
	Archive   string // path given to Load
	Reference string // with registry and tag, as containerd writes it: docker.io/library/app:1.0
	Digest    string // of the image's manifest
	Imported  bool   // false: it was there already
}

// Load makes the images of the given archives (files as `docker save` writes them, or tars of an OCI layout) available to
// pods, under the names that the archives give them. Images that are there already are skipped. A pod uses them with the
// image pull policy IfNotPresent or Never; the tag must not be latest unless that policy is given.
func (c *Cluster) Load(ctx context.Context, archives ...string) ([]LoadedImage, error) {
	if c.ControlPlaneOnly() {
		return nil, fmt.Errorf("loading images into cluster %s: it has a control plane only, no node that runs pods", c.Name())
	}
	var loaded []LoadedImage
	for _, archive := range archives {
		images, err := c.loadArchive(ctx, archive)
		if err != nil {
			return loaded, fmt.Errorf("loading %s into cluster %s: %w", archive, c.Name(), err)
		}
		loaded = append(loaded, images...)
	}
	return loaded, nil
}

// loadRecord remembers what the import of an archive resulted in. It is only believed while containerd has the same.
type loadRecord struct {
	Images map[string]string `json:"images"` // reference → digest
}

func (c *Cluster) loadArchive(ctx context.Context, archive string) ([]LoadedImage, error) {
	sum, err := fileSHA256(archive)
	if err != nil {
		return nil, err
	}
	recordPath := c.path("loaded", sum+".json")
	before, err := c.images(ctx)
	if err != nil {
		return nil, err
	}
	var record loadRecord
	if data, err := os.ReadFile(recordPath); err == nil && json.Unmarshal(data, &record) == nil && len(record.Images) > 0 {
		there := true
		for reference, digest := range record.Images {
			there = there && before[reference] == digest
		}
		if there {
			return record.loaded(archive, false), nil
		}
	}
	references, err := archiveReferences(archive)
	if err != nil {
		return nil, err
	}
	if _, err := c.ctr(ctx, "images", "import", archive); err != nil {
		return nil, err
	}
	after, err := c.images(ctx)
	if err != nil {
		return nil, err
	}
	record = loadRecord{Images: map[string]string{}}
	for _, reference := range references {
		digest, ok := after[reference]
		if !ok {
			return nil, fmt.Errorf("containerd imported the archive, but has no image %s", reference)
		}
		record.Images[reference] = digest
	}
	data, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(recordPath), 0o755); err != nil {
		return nil, err
	}
	return record.loaded(archive, true), writeFileAtomically(recordPath, data, 0o644)
}

func (r loadRecord) loaded(archive string, imported bool) []LoadedImage {
	var images []LoadedImage
	for reference, digest := range r.Images {
		images = append(images, LoadedImage{Archive: archive, Reference: reference, Digest: digest, Imported: imported})
	}
	slices.SortFunc(images, func(a, b LoadedImage) int { return strings.Compare(a.Reference, b.Reference) })
	return images
}

// images returns the digest of each image that containerd has for Kubernetes, by reference.
func (c *Cluster) images(ctx context.Context) (map[string]string, error) {
	out, err := c.ctr(ctx, "images", "list")
	if err != nil {
		return nil, err
	}
	images := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[2], "sha256:") { // REF TYPE DIGEST …
			images[f[0]] = f[2]
		}
	}
	return images, nil
}

// ctr runs containerd's client on the node's containerd, from the host.
func (c *Cluster) ctr(ctx context.Context, args ...string) (string, error) {
	pid, err := c.PID()
	if err != nil {
		return "", err
	}
	if pid == 0 {
		return "", fmt.Errorf("cluster %s is not running (bring it up first)", c.Name())
	}
	program, err := lookPath("ctr")
	if err != nil {
		return "", err
	}
	socket := fmt.Sprintf("/proc/%d/root%s", pid, containerdSocket)
	cmd := exec.CommandContext(ctx, program, append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, lastLines(stderr.String(), 5))
	}
	return stdout.String(), nil
}

// archiveReferences returns the full names of the images in an archive.
func archiveReferences(archive string) ([]string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var names []string
	for reader := tar.NewReader(f); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		switch filepath.Clean(header.Name) {
		case "manifest.json": // docker save
			var manifest tarball.Manifest
			if err := json.NewDecoder(reader).Decode(&manifest); err != nil {
				return nil, fmt.Errorf("reading manifest.json of the archive: %w", err)
			}
			for _, image := range manifest {
				names = append(names, image.RepoTags...)
			}
		case "index.json": // OCI layout
			var index v1.IndexManifest
			if err := json.NewDecoder(reader).Decode(&index); err != nil {
				return nil, fmt.Errorf("reading index.json of the archive: %w", err)
			}
			for _, image := range index.Manifests {
				names = append(names, image.Annotations["io.containerd.image.name"])
			}
		}
	}
	var references []string
	for _, n := range names {
		if n == "" {
			continue
		}
		reference, err := fullReference(n)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(references, reference) {
			references = append(references, reference)
		}
	}
	if len(references) == 0 {
		return nil, errors.New("the archive names no image: it has neither a manifest.json with RepoTags nor an index.json with " +
			"annotations io.containerd.image.name")
	}
	return references, nil
}

// fullReference writes an image name as containerd does: app:1 is docker.io/library/app:1.
func fullReference(image string) (string, error) {
	ref, err := name.ParseReference(image, name.WithDefaultRegistry("docker.io"))
	if err != nil {
		return "", fmt.Errorf("image name %q in the archive: %w", image, err)
	}
	full := ref.Name()
	// The one registry with two names; containerd knows it by the short one.
	return strings.Replace(full, name.DefaultRegistry+"/", "docker.io/", 1), nil
}

// loadPauseImage makes and loads the pause image. Kubernetes cannot start a pod without it.
func (c *Cluster) loadPauseImage(ctx context.Context) error {
	if c.ControlPlaneOnly() {
		return nil
	}
	binary, err := lookPath("pause", c.instance.Programs...)
	if err != nil {
		return err
	}
	archive := c.path("pause.tar")
	if err := WriteImage(archive, pauseImage, []string{"/pause"}, map[string]string{"/pause": binary}); err != nil {
		return err
	}
	if err := c.waitFor(ctx, "containerd to answer", func(ctx context.Context) (bool, error) {
		_, err := c.images(ctx)
		return err == nil, err
	}); err != nil {
		return err
	}
	_, err = c.Load(ctx, archive)
	return err
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no such file: %w", err)
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/slipway-dev/terraform-provider-slipway/test/debian"
)

func TestPrometheus_RunsWithNothingButWhatIsInTheImage(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	archive := filepath.Join(t.TempDir(), "prometheus.tar")
	err := Prometheus(t.Context(), archive)
	if errors.Is(err, debian.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can look at the image as a container does")
	}
	root := t.TempDir()
	for path, file := range contents(t, img) {
		if file.content == "" {
			continue
		}
		target := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(file.content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "chroot", root, "/usr/bin/prometheus", "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "prometheus, version ") {
		t.Errorf("it prints %q (%v)", out, err)
	}
}

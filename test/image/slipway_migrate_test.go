// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestSlipwayMigrate_IsOneProgramOfAUserWithoutRights(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "slipway-migrate.tar")
	if err := SlipwayMigrate(t.Context(), archive, "v0.1.0"); err != nil {
		t.Fatal(err)
	}
	img, err := tarball.Image(opener(archive), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("it runs as %q", config.Config.User)
	}
	info, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 32 << 20
	if info.Size() > limit {
		t.Errorf("the image has %d bytes, more than %d", info.Size(), limit)
	}
	t.Logf("the image has %.1f MiB", float64(info.Size())/(1<<20))

	files := contents(t, img)
	program, there := files["/slipway-migrate"]
	if !there {
		t.Fatal("there is no program in it")
	}
	local := filepath.Join(t.TempDir(), "slipway-migrate")
	if err := os.WriteFile(local, []byte(program.content), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), local, "help").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := SlipwayMigrate(t.Context(), archive, "not a tag"); err == nil {
		t.Error("a version that is no tag is taken")
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	up       = "-- +goose Up\nSELECT 1;\n"
	contract = "-- slipway:kind contract\n" + up
)

func TestRead_TakesTheFilesOfAKind(t *testing.T) {
	for name, test := range map[string]struct {
		files    map[string]string
		contract bool
		want     []string
	}{
		"expand":   {files: map[string]string{"2.sql": up, "10.sql": up, "3.sql": contract}, want: []string{"2.sql", "10.sql"}},
		"contract": {files: map[string]string{"2.sql": up, "3.sql": contract}, contract: true, want: []string{"3.sql"}},
		"contract, where no file is one: an additive one would forbid rollbacks": {
			files: map[string]string{"2.sql": up, "3.sql": up}, contract: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := Read(directory(t, test.files), test.contract)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(dir.Files); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if len(dir.Files)+len(dir.Others) != len(test.files) {
				t.Errorf("%d files are lost", len(test.files)-len(dir.Files)-len(dir.Others))
			}
		})
	}
}

func TestRead_RefusesWhatCannotBeRun(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no file":      {want: "no file"},
		"no number":    {files: map[string]string{"first.sql": up}, want: "does not start with a number"},
		"same number":  {files: map[string]string{"1_a.sql": up, "01_b.sql": up}, want: "the same number"},
		"another tool": {files: map[string]string{"1.sql": "SELECT 1;\n"}, want: "+goose Up"},
		"too large":    {files: map[string]string{"1.sql": up + strings.Repeat("-- more\n", sqlfile.MaxSize/8)}, want: "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(directory(t, test.files), false)
			var refused *FilesError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want a FilesError with %q", err, test.want)
			}
		})
	}
}

func TestPending_ComparesWithWhatWasApplied(t *testing.T) {
	dir, err := Read(directory(t, map[string]string{"1.sql": up, "2.sql": up, "3.sql": up}), false)
	if err != nil {
		t.Fatal(err)
	}
	sum := dir.Files[0].Checksum
	pending, err := Pending(dir.Files, map[string]string{"1.sql": sum, "0.sql": "gone from the directory"})
	if got := names(pending); err != nil || !slices.Equal(got, []string{"2.sql", "3.sql"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := Pending(dir.Files, map[string]string{"1.sql": "sha256:other"}); !isError[*EditedError](err) {
		t.Errorf("an edited file: got %v", err)
	}
	if _, err := Pending(dir.Files, map[string]string{"2.sql": sum}); !isError[*LateError](err) {
		t.Errorf("a late file: got %v", err)
	}
}

func isError[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func TestImageTag_IsTheVersionOfAWorkloadWithoutLabel(t *testing.T) {
	for image, want := range map[string]string{
		"registry.company.com:5000/app:v1.2.0": "v1.2.0", "app": "", "registry.company.com:5000/app": "",
		"app:v1@sha256:0123": "v1", "app@sha256:0123": "",
	} {
		if got := imageTag(image); got != want {
			t.Errorf("%s: got %q, want %q", image, got, want)
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
)

// checkFiles reads files that are written for it.
func checkFiles(t *testing.T, files map[string]string) []*File {
	t.Helper()
	dir := directory(t, files)
	var paths []string
	for name := range files {
		paths = append(paths, filepath.Join(dir, name))
	}
	out, err := ReadChecks(paths)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadChecks_RefusesWhatWouldCheckNothing(t *testing.T) {
	dir := directory(t, map[string]string{"a.sql": "SELECT true;\n", "empty.sql": "-- nothing\n", "a b.sql": "SELECT true;\n"})
	other := directory(t, map[string]string{"a.sql": "SELECT true;\n"})
	for name, test := range map[string]struct {
		paths []string
		want  string
	}{
		"missing":        {[]string{filepath.Join(dir, "none.sql")}, "no such file"},
		"a directory":    {[]string{dir}, "is a directory"},
		"empty":          {[]string{filepath.Join(dir, "empty.sql")}, "holds no statement"},
		"an odd name":    {[]string{filepath.Join(dir, "a b.sql")}, "other characters"},
		"the same twice": {[]string{filepath.Join(dir, "a.sql"), filepath.Join(other, "a.sql")}, "the same name"},
	} {
		_, err := ReadChecks(test.paths)
		if wrong, ok := errors.AsType[*FilesError](err); !ok || !strings.Contains(wrong.Reason, test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	files := checkFiles(t, map[string]string{"b.sql": "SELECT true;\n", "a.sql": "SELECT true;\n"})
	if got := names(files); !slices.Equal(got, []string{"a.sql", "b.sql"}) {
		t.Errorf("got %v", got)
	}
}

func TestParseChecks_ReportsTheLineThatIsNoSQL(t *testing.T) {
	good := checkFiles(t, map[string]string{"a.sql": "SELECT count(*) = 0 FROM orders WHERE number IS NULL;\n"})
	if err := ParseChecks(t.Context(), good); err != nil {
		t.Error(err)
	}
	bad := checkFiles(t, map[string]string{"b.sql": "SELECT true;\nSELEKT true;\n"})
	wrong, ok := errors.AsType[*FilesError](ParseChecks(t.Context(), bad))
	if !ok || wrong.File != "b.sql" || !strings.Contains(wrong.Reason, "line 2") {
		t.Errorf("got %v", wrong)
	}
}

func TestValidateDigest_IsOfWhatIsAppliedAndWhatChecksIt(t *testing.T) {
	applied := map[string]string{"1.sql": "sha256:1"}
	first := checkFiles(t, map[string]string{"a.sql": "SELECT true;\n"})
	digest := ValidateDigest(applied, first)
	if digest == "" || digest != ValidateDigest(maps.Clone(applied), checkFiles(t, map[string]string{"a.sql": "SELECT true;\n"})) {
		t.Errorf("the same has another digest: %q", digest)
	}
	if ValidateDigest(applied, nil) != "" {
		t.Error("without files, nothing is validated")
	}
	for what, other := range map[string]string{
		"more is applied":   ValidateDigest(map[string]string{"1.sql": "sha256:1", "2.sql": "sha256:2"}, first),
		"another file":      ValidateDigest(applied, checkFiles(t, map[string]string{"b.sql": "SELECT true;\n"})),
		"another statement": ValidateDigest(applied, checkFiles(t, map[string]string{"a.sql": "SELECT 1;\n"})),
	} {
		if other == digest {
			t.Errorf("%s: the digest is the same", what)
		}
	}
}

func testRun(t *testing.T, check, validate []*File) *fileRun {
	t.Helper()
	return &fileRun{dir: &Directory{Check: check, Validate: validate}, run: &applyRun{
		target:  Target{Name: "expand", Handle: environment.Handle{Namespace: "client-a-prod", Client: "client-a", Stage: "prod"}},
		options: Options{Image: "registry.company.com/slipway-migrate:v1"}, content: migrationRecord{Applied: map[string]string{}},
	}}
}

// jobOf is the Job that a run makes of files.
func jobOf(f *fileRun, pending []*File) fileJob {
	return fileJob{target: f.run.target, options: f.run.options, dir: f.dir, pending: pending}
}

func TestJob_CarriesTheChecksInVolumesOfTheirOwn(t *testing.T) {
	dir, err := Read(directory(t, map[string]string{"1.sql": up}), false)
	if err != nil {
		t.Fatal(err)
	}
	check, validate := checkFiles(t, map[string]string{"x.sql": "SELECT 1;\n"}), checkFiles(t, map[string]string{"x.sql": "SELECT 2;\n"})
	plain, with := testRun(t, nil, nil), testRun(t, check, validate)
	// The name of a Job from before there were checks: an apply that was killed then is joined now.
	if got := jobOf(plain, dir.Files).name(); got != "migrate-expand-"+beforeChecks {
		t.Errorf("got %s", got)
	}
	if jobOf(with, dir.Files).name() == jobOf(plain, dir.Files).name() ||
		jobOf(with, dir.Files).name() == jobOf(testRun(t, validate, check), dir.Files).name() {
		t.Error("other checks have the same Job")
	}
	job := func(f *fileRun, pending []*File) (args []string, mounts map[string]string) {
		configs, err := jobOf(f, pending).configMaps(nil)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]*corev1.ConfigMap{}
		for _, m := range configs {
			byName[m.Name] = m
		}
		object := jobOf(f, pending).job(configs)
		pod, mounts := object.Spec.Template.Spec, map[string]string{}
		for _, mount := range pod.Containers[0].VolumeMounts {
			for _, volume := range pod.Volumes {
				if volume.Name == mount.Name && volume.Projected != nil {
					for _, source := range volume.Projected.Sources {
						for name, content := range byName[source.ConfigMap.Name].BinaryData {
							mounts[mount.MountPath+"/"+name] = string(content)
						}
					}
				}
			}
		}
		return pod.Containers[0].Args, mounts
	}
	args, mounts := job(with, dir.Files)
	wantMounts := map[string]string{
		"/slipway/files/1.sql": up, "/slipway/check/x.sql": "SELECT 1;\n", "/slipway/validate/x.sql": "SELECT 2;\n",
	}
	if !maps.Equal(mounts, wantMounts) {
		t.Errorf("got %v", mounts)
	}
	text := strings.Join(args, " ")
	if !strings.HasPrefix(text, "up /slipway/files ") ||
		!strings.Contains(text, "--check /slipway/check/x.sql --validate /slipway/validate/x.sql") {
		t.Errorf("got %s", text)
	}
	if args, _ := job(with, nil); !slices.Equal(args, []string{"check", "/slipway/validate/x.sql"}) {
		t.Errorf("where nothing is pending: %v", args)
	}
	if _, mounts := job(plain, dir.Files); len(mounts) != 1 {
		t.Errorf("without checks: %v", mounts)
	}
}

const beforeChecks = "c8d253f05e"

func TestRecord_AValidationThatFailsSaysThatAllIsApplied(t *testing.T) {
	dir, err := Read(directory(t, map[string]string{"1.sql": up, "2.sql": up}), false)
	if err != nil {
		t.Fatal(err)
	}
	validate := checkFiles(t, map[string]string{"x.sql": "SELECT 1;\n"})
	a := testRun(t, nil, validate)
	// The names are left out where a report would be too long.
	if got := a.record(dir.Files, &runner.Report{
		Outcome: runner.Failed, Phase: runner.PhaseValidate,
	}); !slices.Equal(got, []string{"1.sql", "2.sql"}) {
		t.Errorf("got %v", got)
	}
	if !a.validationPending() || !a.passed() || a.validationPending() || a.passed() {
		t.Error("a validation is pending until it has passed, and not again")
	}
	if b := testRun(t, nil, validate); b.record(dir.Files,
		&runner.Report{Outcome: runner.Failed, Phase: runner.PhaseCheck, Left: 2}) != nil {
		t.Error("a check that failed has applied nothing")
	}
}

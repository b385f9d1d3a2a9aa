// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run runs the command on a copy of the repository's own fleet.
func run(t *testing.T, dir string, arguments ...string) (out, messages string, err error) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	var stdout, stderr bytes.Buffer
	command := newCommand()
	command.SetArgs(append([]string{"-C", filepath.Join(dir, "clients")}, arguments...))
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	err = command.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func ownFleet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"clients", "examples/data-collection/chart"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join("../..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCommand_FromLayersToArtifacts(t *testing.T) {
	dir := ownFleet(t)
	if _, _, err := run(t, dir, "generate", "--check"); !errors.Is(err, errFindings) {
		t.Errorf("before anything is generated, --check returns %v", err)
	}
	out, messages, err := run(t, dir, "generate")
	if err != nil || !strings.Contains(out, "72 environments: 144 files written, 0 unchanged") || messages != "" {
		t.Fatalf("%v\n%s\n%s", err, out, messages)
	}
	if out, _, err := run(t, dir, "generate", "--check"); err != nil || !strings.Contains(out, "0 files to be written, 144 unchanged") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, environment := range [][]string{{"client-f", "prod"}, {"client-f/prod"}} { // as users write it, and as `slipway list` does
		arguments := append(append([]string{"explain"}, environment...), "autoscaling.maxReplicas")
		if out, _, err := run(t, dir, arguments...); err != nil || !strings.HasPrefix(out, "autoscaling.maxReplicas = 25\n  client-stage ") {
			t.Errorf("%v: %v\n%s", arguments, err, out)
		}
	}
	if _, _, err := run(t, dir, "explain", "client-f", "test"); err == nil ||
		!strings.Contains(describe(err), "client-f has the stages dev, staging, prod") {
		t.Errorf("got %v", err)
	}
	out, _, err = run(t, dir, "values", "client-f/prod")
	written, readErr := os.ReadFile(filepath.Join(dir, "environments/client-f/prod/values.yaml"))
	if err != nil || readErr != nil || out != string(written) {
		t.Errorf("%v, %v", err, readErr)
	}
	output := filepath.Join(dir, "output")
	if _, _, err := run(t, dir, "matrix", "--select", "stage=prod", "--output", output); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(output)
	if err != nil || !strings.Contains(string(text), "any=true\nwaves=[\"canary\",\"early\",\"everyone\"]\n") ||
		!strings.Contains(string(text), "canary=[{\"include\":[") {
		t.Errorf("%v\n%.300s", err, text)
	}
	if out, _, err := run(t, dir, "list", "--select", "ring=canary,stage=prod", "--json"); err != nil || strings.Count(out, `"client":`) != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, command := range []string{"list", "matrix"} {
		if out, _, err := run(t, dir, command, "--select", "rign=canary"); err == nil || out != "" ||
			!strings.Contains(err.Error(), "did you mean ring?") {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	if out, _, err := run(t, dir, "applicationset"); err != nil || strings.Count(out, "kind: ApplicationSet\n") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err := run(t, dir, "prometheus"); err != nil || !strings.Contains(out, "78 of 78 files written") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err := run(t, dir, "generate"); err != nil || strings.Contains(out, "left over") {
		t.Errorf("what people or other commands put into the tree is left over: %v\n%s", err, out)
	}
}

func TestCommand_ReportsAndRefuses(t *testing.T) {
	dir := ownFleet(t)
	if _, _, err := run(t, dir, "generate"); err != nil {
		t.Fatal(err)
	}
	change := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "clients", file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	change("client-c/values-prod.yaml", "autoscaling:\n  maxReplicas: 33\n")
	out, _, err := run(t, dir, "report")
	if err != nil || !strings.HasPrefix(out, "### 1 of 72 environments change, 1 of them prod\n") ||
		!strings.Contains(out, "| `autoscaling.maxReplicas` | `10` | `33` | client-c/prod |") {
		t.Errorf("%v\n%.500s", err, out)
	}
	out, _, err = run(t, dir, "report", "--json")
	var report struct{ Affected []string }
	if err != nil || json.Unmarshal([]byte(out), &report) != nil || len(report.Affected) != 1 {
		t.Errorf("%v\n%.500s", err, out)
	}
	change("client-c/values-prod.yaml", "autoscaling:\n  maxReplica: 33\nconfig:\n  API: client-d-prod.db.example.com\n")
	out, messages, err := run(t, dir, "generate")
	if !errors.Is(err, errFindings) || !strings.Contains(messages, "did you mean autoscaling.maxReplicas?") ||
		!strings.Contains(messages, "values-prod.yaml:2: ") || out != "" {
		t.Errorf("%v\n%s\n%s", err, out, messages)
	}
	if out, _, err := run(t, dir, "report"); !errors.Is(err, errFindings) || !strings.Contains(out, "belongs to client-d") {
		t.Errorf("%v\n%.800s", err, out)
	}
}

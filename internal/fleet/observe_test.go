// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// later is a moment at which all that was written so far is settled.
func later() time.Time { return time.Now().Add(time.Hour) }

// nextTick waits until the file system's clock has moved on, so that what is written next has another time.
func nextTick(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	written := func(name string) int64 {
		change(t, "", dir, name)
		found, _, err := stampOf(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return found.Changed
	}
	for first := written("first"); written("next") == first; {
		continue
	}
}

func believesStamps(t *testing.T) {
	t.Helper()
	if _, ok := localDevice(t.TempDir()); !ok {
		t.Skip("the file system of temporary files is none whose stamps are believed")
	}
}

func TestGenerate_ReadsOnlyWhatMayHaveChanged(t *testing.T) {
	believesStamps(t)
	dir := small.write(t)
	cache := filepath.Join(t.TempDir(), "cache")
	generate(t, dir, GenerateOptions{Cache: cache})
	// What has just been written may be written again without another stamp.
	if out := generate(t, dir, GenerateOptions{Cache: cache, now: time.Now().Add(-time.Hour)}); out.Resolved != 0 || out.read < 10 {
		t.Errorf("files that were written a moment ago: %d read, %d resolved", out.read, out.Resolved)
	}
	if out := generate(t, dir, GenerateOptions{Cache: cache, now: later()}); out.Resolved != 0 || out.read < 10 {
		t.Errorf("nothing is known of them: %d read, %d resolved", out.read, out.Resolved)
	}
	if out := generate(t, dir, GenerateOptions{Cache: cache, now: later()}); out.Resolved != 0 || out.read != 0 {
		t.Errorf("nothing has changed: %d read, %d resolved", out.read, out.Resolved)
	}
	nextTick(t)
	change(t, "replicas: 5\n", dir, "globex/values.yaml")
	if out := generate(t, dir, GenerateOptions{Cache: cache, now: later()}); out.Resolved != 2 || len(out.Changed) != 2 || out.read != 1 {
		t.Errorf("one file has changed: %d read, %d resolved, changed %v", out.read, out.Resolved, out.Changed)
	}
}

// TestGenerate_IsNotDeceivedByTimes changes files so that a careless look does not show it.
func TestGenerate_IsNotDeceivedByTimes(t *testing.T) {
	believesStamps(t)
	dir := small.write(t)
	cache := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		generate(t, dir, GenerateOptions{Cache: cache, now: later()})
	}
	values, output := filepath.Join(dir, "acme/values.yaml"), filepath.Join(dir, "../environments/globex/prod/values.yaml")
	stamped := func(path string, do func()) {
		t.Helper()
		found, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		nextTick(t)
		do()
		if err := os.Chtimes(path, found.ModTime(), found.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name             string
		do               func()
		changed, orphans int
	}{
		{"a layer of the same size and time", func() { stamped(values, func() { change(t, "hosts: [acmf]\n", values) }) }, 2, 0},
		{"another file of the same size and time in its place", func() {
			stamped(values, func() {
				change(t, "hosts: [acmg]\n", values+".new")
				if err := os.Rename(values+".new", values); err != nil {
					t.Fatal(err)
				}
			})
		}, 2, 0},
		{"a generated file, edited in one byte", func() {
			stamped(output, func() {
				content := []byte(read(t, output))
				content[len(content)-2] ^= 1
				change(t, string(content), output)
			})
		}, 1, 0},
		{"a stage that is left over", func() {
			change(t, read(t, output), dir, "../environments/acme/old/values.yaml")
		}, 0, 1},
		{"it is still there", func() {}, 0, 1},
	} {
		step.do()
		out := generate(t, dir, GenerateOptions{Cache: cache, now: later()})
		if len(out.Changed) != step.changed || len(out.Orphans) != step.orphans {
			t.Errorf("%s: changed %v, left over %v", step.name, out.Changed, out.Orphans)
		}
		if fresh := generate(t, dir, GenerateOptions{}); len(fresh.Changed)+len(fresh.Added) > 0 {
			t.Errorf("%s: without the cache %v and %v are written", step.name, fresh.Changed, fresh.Added)
		}
	}
}

func TestRead_FollowsSymbolicLinks(t *testing.T) {
	dir := small.write(t)
	elsewhere := filepath.Join(dir, "../elsewhere")
	if err := os.Rename(filepath.Join(dir, "acme"), elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../elsewhere", filepath.Join(dir, "acme")); err != nil {
		t.Skip(err)
	}
	if whole := resolveAll(t, dir); whole.Find("acme", "prod") == nil || len(whole.Findings) > 0 {
		t.Errorf("%d environments, findings %+v", len(whole.Environments), whole.Findings)
	}
}

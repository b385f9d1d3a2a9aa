// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpen_ChecksTheName(t *testing.T) {
	t.Setenv("SLIPWAY_CACHE", t.TempDir())
	for name, valid := range map[string]bool{
		"":                      true, // the default
		"a":                     true,
		"client-a-2":            true,
		strings.Repeat("a", 32): true,
		strings.Repeat("a", 33): false,
		"-a":                    false,
		"a-":                    false,
		"Upper":                 false,
		"../escape":             false,
		"a/b":                   false,
	} {
		_, err := Open(name)
		if got := errors.Is(err, ErrNotFound); got != valid {
			t.Errorf("Open(%q): %v; want a valid name: %t", name, err, valid)
		}
	}
}

func TestOpenOrCreate_KeepsAddressesAndGivesEachClusterItsOwn(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("SLIPWAY_CACHE", cache)
	open := func(name string) *Cluster {
		t.Helper()
		dir := filepath.Join(cache, "clusters", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		c, err := openOrCreate(t.Context(), dir, Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := open("a"), open("b")
	if a.instance.Index == b.instance.Index {
		t.Errorf("both clusters have address block %d", a.instance.Index)
	}
	if again := open("b"); again.instance.Index != b.instance.Index {
		t.Errorf("the address block changed from %d to %d", b.instance.Index, again.instance.Index)
	}
	// A first `up` that was killed before it had chosen addresses leaves an empty directory.
	if err := os.Mkdir(filepath.Join(cache, "clusters", "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	clusters, err := List()
	if err != nil || len(clusters) != 2 || clusters[0].Name() != "a" || clusters[1].Name() != "b" {
		t.Errorf("List: %v, %v; want a and b", clusters, err)
	}
}

func TestOperate_LetsOneCommandRunAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	err := operate(t.Context(), dir, newStepLog(nil), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var printed strings.Builder
		err := operate(ctx, dir, newStepLog(&printed), func() error {
			t.Error("two commands ran at once")
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(printed.String(), "waiting") {
			t.Errorf("second command: %v, log %q; want that it waits and reports it", err, printed.String())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ran := false
	if err := operate(t.Context(), dir, newStepLog(nil), func() error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("after the first command: ran %t, %v", ran, err)
	}
}

func TestWriteConfig_FillsEveryTemplate(t *testing.T) {
	c := &Cluster{dir: t.TempDir(), instance: instance{Name: "x", Index: 2}}
	if err := c.writeConfig(); err != nil {
		t.Fatal(err)
	}
	var files []string
	err := filepath.WalkDir(c.path("etc"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files = append(files, strings.TrimPrefix(path, c.path("etc")+"/"))
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "{{") || strings.Contains(string(data), "<no value>") {
			t.Errorf("%s is not rendered:\n%s", path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Corefile", "audit-policy.yaml", "cni/pods.conflist", "containerd.toml", "kubelet.yaml", "proxy.yaml", "resolv.conf"}
	if !slices.Equal(files, want) {
		t.Errorf("files %q; want %q", files, want)
	}
}

// A component that is added must have a name and a program, and its files where the node finds them.
func TestComponents_AreComplete(t *testing.T) {
	for _, controlPlaneOnly := range []bool{false, true} {
		c := &Cluster{dir: "/data", instance: instance{Name: "x", ControlPlaneOnly: controlPlaneOnly}}
		var names []string
		for _, comp := range c.components() {
			if comp.name == "" || len(comp.command) == 0 || slices.Contains(names, comp.name) {
				t.Errorf("component %+v has no name of its own or no program", comp)
			}
			names = append(names, comp.name)
		}
		if controlPlaneOnly && !slices.Equal(names, []string{"etcd", "apiserver", "controller-manager"}) {
			t.Errorf("a control plane is %q", names)
		}
	}
}

func TestBuildKey_ChangesWithModuleFilesAndSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		t.Helper()
		k, err := buildKey(t.Context(), CoreDNS, dir)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write("go.mod", "module x\n")
	write("main.go", "package main\n")
	write("sub/sub.go", "package sub\n")
	first := key()
	if second := key(); second != first {
		t.Errorf("the same files give %s and %s", first, second)
	}
	for _, file := range []string{"go.mod", "go.sum", "main.go", "sub/sub.go"} {
		write(file, "// changed\n")
		if changed := key(); changed == first {
			t.Errorf("a change of %s does not change the key", file)
		} else {
			first = changed
		}
	}
	write("README.md", "text\n")
	if key() != first {
		t.Error("a text file changes the key")
	}
}

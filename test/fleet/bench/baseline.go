// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// printBaseline measures one of the baselines on what was generated in a folder.
func printBaseline(kind, dir string) error {
	inputs, err := yamlFiles(filepath.Join(dir, "clients"))
	if err != nil {
		return err
	}
	outputs, err := yamlFiles(filepath.Join(dir, "environments"))
	if err != nil {
		return err
	}
	var measured func() error
	switch kind {
	case "read":
		all := append(inputs, outputs...)
		measured = func() error {
			return each(len(all), func(i int) error {
				_, err := os.ReadFile(all[i])
				return err
			})
		}
	case "parse-and-write":
		if measured, err = parseAndWrite(dir, inputs, outputs); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no baseline %q", kind)
	}
	runtime.GC()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return err
	}
	started := time.Now()
	if err := measured(); err != nil {
		return err
	}
	wall := time.Since(started)
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return err
	}
	cpu := after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{"Wall": wall.Nanoseconds(), "CPU": cpu})
}

// parseAndWrite parses every layer once and writes every generated file once, on all processors.
func parseAndWrite(dir string, inputs, outputs []string) (func() error, error) {
	trees := make([]any, len(outputs))
	for i, path := range outputs {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(content, &trees[i]); err != nil {
			return nil, err
		}
	}
	target := filepath.Join(dir, "floor")
	if err := os.RemoveAll(target); err != nil {
		return nil, err
	}
	return func() error {
		if err := each(len(inputs), func(i int) error {
			content, err := os.ReadFile(inputs[i])
			if err != nil {
				return err
			}
			var tree map[string]any
			return yaml.Unmarshal(content, &tree)
		}); err != nil {
			return err
		}
		return each(len(outputs), func(i int) error {
			text, err := yaml.Marshal(trees[i])
			if err != nil {
				return err
			}
			path := filepath.Join(target, strings.TrimPrefix(outputs[i], dir))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			return os.WriteFile(path, text, 0o644)
		})
	}, nil
}

// each calls do for 0 to n-1 on all processors.
func each(n int, do func(int) error) error {
	workers := runtime.GOMAXPROCS(0)
	failed := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < n && failed[worker] == nil; i += workers {
				failed[worker] = do(i)
			}
		})
	}
	group.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func yamlFiles(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".yaml") {
			out = append(out, path)
		}
		return err
	})
	return out, err
}

// helmTemplate is how long it takes on average to load the chart and render it with a generated file, as `helm template` does in a
// process of its own, whose start is not counted.
func helmTemplate(chartDir, tree string, most int) (time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(tree, "*", "*", "values.yaml"))
	if err != nil {
		return 0, err
	}
	files = files[:min(most, len(files))]
	started := time.Now()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		var values map[string]any
		if err := yaml.Unmarshal(content, &values); err != nil {
			return 0, err
		}
		chart, err := loader.Load(chartDir)
		if err != nil {
			return 0, err
		}
		install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
		install.ReleaseName, install.Namespace, install.DryRun, install.ClientOnly = "data-collection", "test", true, true
		install.KubeVersion = &chartutil.KubeVersion{Version: "v1.34.0", Major: "1", Minor: "34"}
		if _, err := install.Run(chart, values); err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
	}
	return time.Since(started) / time.Duration(len(files)), nil
}

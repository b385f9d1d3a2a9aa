// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// unread finds files in the folders of clients that look like layers or variables and that nothing reads: an optional file with a
// misspelled name is ignored silently.
func (f *Fleet) unread() ([]Finding, error) {
	var findings []Finding
	for i := 0; i < len(f.Environments); {
		client := f.Environments[i].Client
		known := map[string]bool{clientFileName: true}
		var of []string
		for ; i < len(f.Environments) && f.Environments[i].Client == client; i++ {
			of = append(of, f.Environments[i].Name())
		}
		for _, stage := range f.Stages {
			// A layer may be selected in one stage only, while its file exists for all stages.
			for _, pattern := range append(f.layerFiles(), f.Tfvars) {
				name := strings.NewReplacer("{client}", client, "{stage}", stage).Replace(pattern)
				if below, inFolder := strings.CutPrefix(filepath.ToSlash(filepath.Clean(name)), client+"/"); inFolder {
					known[f.anyPlaceholder(below)] = true
				}
			}
		}
		found, err := f.unreadIn(client, known)
		if err != nil {
			return nil, err
		}
		for _, finding := range found {
			finding.Environments = slices.Clone(of)
			findings = append(findings, finding)
		}
	}
	return findings, nil
}

func (f *Fleet) layerFiles() []string {
	var files []string
	for _, layer := range f.Layers {
		if layer.File != "" {
			files = append(files, layer.File)
		}
	}
	return files
}

// anyPlaceholder turns a file name into a pattern of path.Match: other placeholders match any text.
func (f *Fleet) anyPlaceholder(name string) string { return placeholder.ReplaceAllString(name, "*") }

func (f *Fleet) unreadIn(client string, known map[string]bool) ([]Finding, error) {
	folder := filepath.Join(f.Dir, client)
	var findings []Finding
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch ext := filepath.Ext(name); {
		case ext == ".yaml" || ext == ".yml" || ext == ".tfvars" && f.Tfvars != "":
		default:
			return nil
		}
		for pattern := range known {
			if matched, err := filepath.Match(pattern, name); err == nil && matched {
				return nil
			}
		}
		text := fmt.Sprintf("nothing reads %s", name)
		if nearest := values.Nearest(name, slices.Sorted(maps.Keys(known))); nearest != "" && !strings.Contains(nearest, "*") {
			text += fmt.Sprintf("; did you mean %s?", nearest)
		}
		findings = append(findings, Finding{
			Rule:     RuleStray,
			Severity: SeverityWarning,
			Origin:   values.Origin{File: filepath.Join(folder, filepath.FromSlash(name))},
			Text:     text,
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for files that nothing reads in %s: %w", folder, err)
	}
	return findings, nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package chart finds, pulls, verifies and caches Helm charts by digest.
package chart

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Chart is a loaded chart. Helm changes charts while it renders: use Load for a fresh copy. Safe for concurrent use.
type Chart struct {
	Name       string
	Version    string
	AppVersion string
	// Digest is "sha256:…": of the packed archive for repositories (for OCI the layer's digest) and .tgz files, and of the
	// canonical listing of files and contents (after .helmignore) for a directory.
	Digest string

	place string // for errors: a path or an address
	files []*loader.BufferedFile
	facts chartFacts
}

// newChart parses the files once, to find errors in them.
func newChart(place, digest string, files []*loader.BufferedFile) (*Chart, error) {
	c := &Chart{Digest: digest, place: place, files: files}
	parsed, err := c.Load()
	if err != nil {
		return nil, err
	}
	if parsed.Metadata.Type == "library" {
		return nil, &InvalidError{Chart: place, File: "Chart.yaml", Reason: "it is a library chart (type: library), which cannot be installed; " +
			"name the application chart that uses it"}
	}
	if missing := missingDependencies(parsed); len(missing) > 0 {
		return nil, &InvalidError{Chart: place, File: "Chart.yaml", Reason: fmt.Sprintf("the dependencies %s are not in its charts/ folder; "+
			"run `helm dependency build` on the chart, then try again", joinQuoted(missing))}
	}
	c.Name, c.Version, c.AppVersion = parsed.Metadata.Name, parsed.Metadata.Version, parsed.Metadata.AppVersion
	c.facts = gatherFacts(parsed)
	return c, nil
}

// Load parses the chart again, so that the caller owns it. Error: *InvalidError.
func (c *Chart) Load() (*helmchart.Chart, error) {
	// Helm renames the files of subcharts while it parses, and templates are slices: both get a copy.
	files := make([]*loader.BufferedFile, len(c.files))
	for i, file := range c.files {
		files[i] = &loader.BufferedFile{Name: file.Name, Data: slices.Clone(file.Data)}
	}
	parsed, err := loader.LoadFiles(files)
	if err != nil {
		return nil, invalid(c.place, err)
	}
	dropForeignReferences(parsed)
	// Helm reads the folder charts/ in random order.
	dependencies := parsed.Dependencies()
	slices.SortFunc(dependencies, func(a, b *helmchart.Chart) int {
		return cmp.Or(cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.Metadata.Version, b.Metadata.Version))
	})
	return parsed, nil
}

// DefaultValues are the chart's own, with its subcharts' defaults under their names (aliases respected), including those that
// a condition or tag disables.
func (c *Chart) DefaultValues() map[string]any {
	return values.Merge(c.facts.defaults)
}

// UnknownKeys lists the keys of v that the chart does not know; none if the chart does not describe its values.
func (c *Chart) UnknownKeys(v map[string]any) []values.UnknownKey {
	if c.facts.known == nil {
		return nil
	}
	return values.UnknownKeys(v, c.facts.known)
}

// LendsValues reports that a dependency's values are imported into those of the chart (import-values), so that the chart's
// values are not only those of its values.yaml.
func (c *Chart) LendsValues() (bool, error) {
	parsed, err := c.Load()
	if err != nil {
		return false, err
	}
	for _, dependency := range parsed.Metadata.Dependencies {
		if dependency != nil && len(dependency.ImportValues) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// ValidateValues checks values against values.schema.json of the chart and its subcharts, and for unknown keys. The
// returned problems are sorted by path.
func (c *Chart) ValidateValues(v map[string]any) []Problem {
	problems := unknownKeys(c, v)
	return inOrder(append(problems, schemaProblems(c, v)...))
}

// NewValidator compiles the chart's schema once. Errors: *InvalidError for a chart that cannot be read.
func (c *Chart) NewValidator() (*Validator, error) { return newValidator(c) }

// missingDependencies names the dependencies of Chart.yaml that are not in charts/.
func missingDependencies(c *helmchart.Chart) []string {
	var missing []string
	for _, dependency := range c.Metadata.Dependencies {
		if dependency == nil {
			continue
		}
		if findDependency(c, dependency) == nil {
			missing = append(missing, dependency.Name)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// listingDigest is the digest of a chart that is not an archive: names, sizes and contents in the order of names.
func listingDigest(files []*loader.BufferedFile) string {
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b *loader.BufferedFile) int { return cmp.Compare(a.Name, b.Name) })
	sum := sha256.New()
	for _, file := range sorted {
		content := sha256.Sum256(file.Data)
		_, _ = fmt.Fprintf(sum, "%d:%s %d:%x\n", len(file.Name), file.Name, len(file.Data), content) // a hash never fails
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func archiveDigest(archive []byte) string {
	sum := sha256.Sum256(archive)
	return "sha256:" + hex.EncodeToString(sum[:])
}

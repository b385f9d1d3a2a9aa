// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package chart finds, pulls, verifies and caches Helm charts by digest.
package chart

import (
	"context"

	helmchart "helm.sh/helm/v3/pkg/chart"
)

// Source says where a chart comes from: either Path, or Repository with Name and Version.
type Source struct {
	// Path of a chart directory or .tgz file.
	Path string
	// Repository is "https://…" (or http://) for an index.yaml repository, "oci://…" for a registry.
	Repository string
	Name       string
	// Version is an exact SemVer version; ranges are refused, since a plan must name what apply installs.
	Version string
}

// Chart is a loaded chart. Helm changes charts while it renders: use Load for a fresh copy.
type Chart struct {
	Name       string
	Version    string
	AppVersion string
	// Digest is "sha256:…": of the packed archive for repositories (for OCI the layer's digest), and of the canonical
	// listing of files and contents (after .helmignore) for a directory.
	Digest string
}

// Load parses the chart anew, so that the caller owns it.
func (c *Chart) Load() (*helmchart.Chart, error)

// DefaultValues are the chart's own, with its subcharts' defaults under their names (aliases respected).
func (c *Chart) DefaultValues() map[string]any

// Loader locates charts; it is shared by the process, and each source is resolved once. Safe for concurrent use.
type Loader struct{}

// Registry holds the credential of a chart repository or OCI registry.
type Registry struct {
	// URL is "oci://host[/path]" or "https://host[/path]"; the longest prefix of a source wins.
	URL      string
	Username string
	Password string
}

// NewLoader makes a loader that keeps pulled charts, by digest, under cacheDir (default: os.UserCacheDir()/slipway/charts).
func NewLoader(cacheDir string, registries []Registry) *Loader

// Get returns the chart of a source. Where digest is not empty it is what the chart must have: a cached chart is taken
// without a request, and another content is a *DigestError. baseDir is what relative paths are relative to. Errors:
// *NotFoundError (chart or version missing, with what is there), *SourceError (bad input, with the field's name),
// *UnreachableError, *UnauthorizedError, *InvalidError (broken chart, missing dependency).
func (l *Loader) Get(ctx context.Context, source Source, digest string) (*Chart, error)

// ValidateValues checks values against values.schema.json of the chart and its subcharts, and for unknown keys. The
// returned problems carry the dotted path, what was found, what is allowed.
func (c *Chart) ValidateValues(values map[string]any) []Problem

// Problem is one finding in values.
type Problem struct {
	Path    string
	Text    string
	Unknown bool // an unknown key, with the nearest known one in Text
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package release renders, compares, installs, upgrades, recovers and removes one Helm release. It and internal/chart are
// the only packages that import Helm.
package release

import (
	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// Spec is everything that decides what is rendered.
type Spec struct {
	Chart  *chart.Chart
	Source chart.Source
	// Version of the application, for example "v1.2.0"; already written into Values at the chart's image path. Empty where
	// the configuration gives none.
	Version string
	// Values are the public values, merged.
	Values map[string]any
	// Sensitive are merged over Values, WriteOnly over both. Whatever depends on a leaf of theirs is masked in
	// everything that leaves this package except the cluster's own objects.
	Sensitive map[string]any
	WriteOnly map[string]any
	// CreateCRDs installs CRDs from the chart's crds/ folder that do not exist yet ("create"); otherwise they are skipped.
	CreateCRDs bool
	// ReplaceCRDs replaces those that exist as well ("create_replace"), for the whole cluster.
	ReplaceCRDs bool
}

// Target names the release that an operation is about.
type Target = ownership.Release

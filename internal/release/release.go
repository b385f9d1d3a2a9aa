// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package release renders, compares, installs, upgrades, recovers and removes one Helm release. It and internal/chart are
// the only packages that import Helm.
package release

import (
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// Target names the release that an operation is about.
type Target = ownership.Release

// Spec is what an operation deploys.
type Spec = render.Spec

// placeOf is where the record of a release is.
func placeOf(target Target) record.Place {
	return record.Place{Cluster: target.Cluster, Handle: target.Handle, Kind: record.OfRelease, Name: target.Name}
}

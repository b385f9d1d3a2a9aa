// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package render renders a Helm chart offline, masks what is secret in the result, and reviews it.
package render

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// Spec is everything that decides what is rendered.
type Spec struct {
	Chart  *chart.Chart
	Source chart.Source
	// Version of the customer's software, for example "v1.2.0"; already written into Values at the chart's image path. Empty where
	// the configuration gives none.
	Version string
	// Values are the public values, merged.
	Values map[string]any
	// Sensitive are merged over Values, WriteOnly over both. Whatever depends on a leaf of theirs is masked in
	// everything that leaves this package except the cluster's own objects.
	Sensitive map[string]any
	WriteOnly map[string]any
	// LookupNamespaces are the namespaces, besides the release's own, in which templates may read with lookup.
	LookupNamespaces []string
	// CreateCRDs installs CRDs from the chart's crds/ folder that do not exist yet ("create"); otherwise they are skipped.
	CreateCRDs bool
	// ReplaceCRDs replaces those that exist as well ("create_replace"), for the whole cluster.
	ReplaceCRDs bool
}

// Definitions reads the crds folders of a chart. Other objects in them are an error: Helm creates them without rendering them, so that no
// plan shows them, and in the namespace that they name.
func (s Spec) Definitions() ([]Definition, error) {
	chart, err := s.Chart.Load()
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", s.Chart.Name, err)
	}
	var out []Definition
	for _, file := range chart.CRDObjects() {
		objects, err := object.ParseManifest(string(file.File.Data), "")
		if err != nil {
			return nil, fmt.Errorf("reading the CRDs of %s: %w", file.Filename, err)
		}
		for _, o := range objects {
			if o.Object["kind"] != kindCRD {
				return nil, &explain.Error{
					Happened: fmt.Sprintf("Chart %s has %s in %s.", s.Chart.Name, o.Key.Short(), file.Filename),
					Observed: "The folder crds/ is for CustomResourceDefinitions only: what is in it is not part of the plan.",
					Advice:   "Move the object to templates/.",
				}
			}
			name, _ := object.NameOf(o.Object)
			out = append(out, Definition{Name: name, Object: o.Object})
		}
	}
	return out, nil
}

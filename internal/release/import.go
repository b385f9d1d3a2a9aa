// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// Import reads an existing deployed release for terraform import. A release without our record is accepted only in a
// namespace that belongs to the handle. Objects are masked (Secret data, and leaves at which a Secret's decoded value
// appears). Errors: *NotImportableError, *record.ForeignError, those of environment.Check, others as from cluster.Classify.
func Import(ctx context.Context, target Target) (*Imported, error) {
	if _, err := environment.Check(ctx, target.Cluster, target.Handle); err != nil {
		return nil, err
	}
	seen, err := observeForImport(ctx, target)
	if err != nil {
		return nil, err
	}
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	releases := storage.Init(driver.NewSecrets(client.CoreV1().Secrets(target.Handle.Namespace)))
	stored, err := releases.Get(target.Name, seen.Deployed)
	if err != nil {
		return nil, target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", seen.Deployed, target.Name, err))
	}
	out := &Imported{Observation: seen}
	raw := &render.Raw{Manifest: stored.Manifest, Hooks: stored.Hooks}
	if err := raw.Parse(target.Handle.Namespace); err != nil {
		return nil, fmt.Errorf("reading the objects of revision %d of release %s: %w", seen.Deployed, target.Name, err)
	}
	var secret map[string]any
	if record := seen.Record; record != nil {
		out.Chart, out.Version = record.Chart, record.Version
		out.Values, secret = helmstore.SplitValues(stored.Config, record.SecretPaths)
	}
	if stored.Chart != nil && stored.Chart.Metadata != nil && out.Chart.Name == "" {
		out.Chart.Name, out.Chart.Version = stored.Chart.Metadata.Name, stored.Chart.Metadata.Version
	}
	if out.Objects, err = helmstore.Mask(raw, secret); err != nil {
		return nil, err
	}
	out.Digest = object.Digest(out.Objects)
	return out, nil
}

func observeForImport(ctx context.Context, target Target) (*Observation, error) {
	seen, _, _, err := observe(ctx, target)
	if err != nil {
		return nil, err
	}
	refuse := func(reason string) error {
		return &NotImportableError{Release: target.Name, Namespace: target.Handle.Namespace, Reason: reason}
	}
	switch {
	case seen.Revision == 0:
		return nil, refuse("there is no such release")
	case seen.Deployed == 0:
		return nil, refuse(fmt.Sprintf("no revision of it is deployed (revision %d is %s). Install it by an apply instead", seen.Revision,
			seen.Status))
	}
	return seen, nil
}

// Imported is what Import found.
type Imported struct {
	Observation *Observation
	// Values is the user-supplied configuration of the release without what was given as secret; nil where there is no record
	// that says what was.
	Values  map[string]any
	Chart   record.Chart
	Objects map[object.Key]string
	Digest  string
	Version string
}

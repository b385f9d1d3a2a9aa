// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
)

// readBase reads the manifest of the deployed revision, which is what Helm takes for the old state. Without the right to read
// it the dry run continues: what is live is then compared with what is rendered only.
func (t *run) readBase(ctx context.Context) error {
	t.base = map[object.Identity]map[string]any{}
	secrets := helmstore.Bind(ctx, t.client.CoreV1().Secrets(t.target.Handle.Namespace))
	found, err := driver.NewSecrets(secrets).Query(map[string]string{"owner": "helm", "name": t.target.Name, "status": "deployed"})
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		return nil
	case cluster.LacksRight(err):
		t.skip("the deployed revision cannot be read (no right to list Secrets), so fields that the chart no longer sets are not validated",
			"all objects")
		return nil
	case err != nil:
		return t.target.Cluster.Classify(fmt.Errorf("reading the deployed revision of release %s: %w", t.target.Name, err))
	}
	newest := found[0]
	for _, r := range found {
		if r.Version > newest.Version {
			newest = r
		}
	}
	objects, err := object.ParseManifest(newest.Manifest, t.target.Handle.Namespace)
	if err != nil {
		return fmt.Errorf("reading the manifest of revision %d of release %s: %w", newest.Version, t.target.Name, err)
	}
	for _, o := range objects {
		t.base[t.identify(o.Object)] = o.Object
		t.next.Secrets.AddObject(o.Object)
	}
	t.next.Secrets.Complete()
	return nil
}

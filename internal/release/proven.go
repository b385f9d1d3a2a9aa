// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// Proven returns the deployed revision of a release without a record, as one that is known to work, if all of its objects are ready now:
// another program made it, and it runs. It is nil otherwise. It costs nothing where there is a record, else one request for the revision
// and one for each object with pods. Errors as from cluster.Classify.
func Proven(ctx context.Context, target Target, seen *Observation) (*record.KnownGood, error) {
	if seen.Record != nil || seen.Deployed == 0 || seen.Deployed != seen.Revision {
		return nil, nil
	}
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	secrets := helmstore.Bind(ctx, client.CoreV1().Secrets(target.Handle.Namespace))
	stored, err := storage.Init(driver.NewSecrets(secrets)).Get(target.Name, seen.Deployed)
	if err != nil {
		return nil, target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", seen.Deployed, target.Name, err))
	}
	ready, err := readyNow(ctx, target, stored.Manifest)
	if err != nil || !ready {
		return nil, err
	}
	raw := &render.Raw{Manifest: stored.Manifest, Hooks: stored.Hooks}
	if err := raw.Parse(target.Handle.Namespace); err != nil {
		return nil, fmt.Errorf("reading the objects of revision %d of release %s: %w", stored.Version, target.Name, err)
	}
	objects, err := helmstore.Mask(raw, nil)
	if err != nil {
		return nil, err
	}
	good := &record.KnownGood{Revision: stored.Version, Digest: object.Digest(objects), At: now()}
	if good.Seal, err = seal(stored); err != nil {
		return nil, err
	}
	if stored.Chart != nil && stored.Chart.Metadata != nil {
		good.Chart.Name, good.Chart.Version = stored.Chart.Metadata.Name, stored.Chart.Metadata.Version
	}
	return good, nil
}

// readyNow reports that all objects of a manifest exist and are ready. Jobs may be gone: a cluster removes those that have ended.
func readyNow(ctx context.Context, target Target, manifest string) (bool, error) {
	kube, err := helmkube.New(helmkube.Options{Context: ctx, Target: target, Config: target.Cluster.RESTConfig()})
	if err != nil {
		return false, err
	}
	resources, err := kube.BuildServed(manifest)
	if err != nil {
		return false, target.Cluster.Classify(fmt.Errorf("reading the objects of release %s: %w", target.Name, err))
	}
	objects, err := target.Cluster.Dynamic()
	if err != nil {
		return false, err
	}
	return rollout.ReadyNow(ctx, objects, target.Handle.Namespace, resources, target.Cluster.Classify)
}

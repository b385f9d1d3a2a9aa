// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"errors"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

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
		t.answers.skip("the deployed revision cannot be read (no right to list Secrets), so fields that the chart no longer sets are not "+
			"validated",
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
	if t.base, err = t.parse(newest); err != nil {
		return err
	}
	if t.Attempted {
		if err := t.readAttempts(secrets, newest.Version); err != nil {
			return err
		}
	}
	t.next.Secrets.Complete()
	return nil
}

// readAttempts reads the manifests of the revisions after the deployed one. What they wrote is live, and no change of others.
func (t *run) readAttempts(secrets typedcorev1.SecretInterface, deployed int) error {
	for _, status := range []helmrelease.Status{helmrelease.StatusFailed, helmrelease.StatusPendingUpgrade} {
		found, err := driver.NewSecrets(secrets).Query(map[string]string{"owner": "helm", "name": t.target.Name, "status": status.String()})
		if errors.Is(err, driver.ErrReleaseNotFound) {
			continue
		}
		if err != nil {
			return t.target.Cluster.Classify(fmt.Errorf("reading the %s revisions of release %s: %w", status, t.target.Name, err))
		}
		for _, r := range found {
			if r.Version <= deployed {
				continue
			}
			objects, err := t.parse(r)
			if err != nil {
				return err
			}
			t.attempts = append(t.attempts, objects)
		}
	}
	return nil
}

// parse reads the objects of a stored revision, and keeps their secrets out of every text.
func (t *run) parse(r *helmrelease.Release) (map[object.Identity]map[string]any, error) {
	objects, err := object.ParseManifest(r.Manifest, t.target.Handle.Namespace)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of revision %d of release %s: %w", r.Version, t.target.Name, err)
	}
	out := map[object.Identity]map[string]any{}
	for _, o := range objects {
		out[t.identify(o.Object)] = o.Object
		t.next.Secrets.AddObject(o.Object)
	}
	return out, nil
}

// attemptsAt are what failed revisions have written to a live object.
func (t *run) attemptsAt(live map[string]any) []any {
	var out []any
	for _, objects := range t.attempts {
		if o, there := objects[t.identify(live)]; there {
			out = append(out, o)
		}
	}
	return out
}

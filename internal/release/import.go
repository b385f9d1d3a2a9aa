// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

func importRelease(ctx context.Context, target Target) (*Imported, error) {
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
		out.Values, secret = splitSecrets(stored.Config, record.SecretPaths)
	}
	if stored.Chart != nil && stored.Chart.Metadata != nil && out.Chart.Name == "" {
		out.Chart.Name, out.Chart.Version = stored.Chart.Metadata.Name, stored.Chart.Metadata.Version
	}
	if out.Objects, err = maskStored(raw, secret); err != nil {
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
		return nil, refuse(fmt.Sprintf("no revision of it is deployed (revision %d is %s). Install it by an apply instead", seen.Revision, seen.Status))
	}
	return seen, nil
}

// storedSecrets knows the secrets of a stored release.
func storedSecrets(raw *render.Raw, secret map[string]any) *redact.Secrets {
	scrub := redact.New(secret)
	for _, o := range raw.Objects {
		scrub.AddObject(o.Object)
	}
	scrub.Complete()
	return scrub
}

// maskStored masks what was stored: data of Secrets, and every leaf at which one of their values appears.
func maskStored(raw *render.Raw, secret map[string]any) (map[object.Key]string, error) {
	scrub := storedSecrets(raw, secret)
	out := make(map[object.Key]string, len(raw.Objects))
	for _, o := range raw.Objects {
		masked := scrub.Mask(object.MaskSecretData(o.Object))
		text, err := object.Canonical(masked)
		if err != nil {
			return nil, fmt.Errorf("reading stored object %s: %w", o.Key, err)
		}
		out[o.Key] = text
	}
	return out, nil
}

// splitSecrets parts values at the paths that were given as secret.
func splitSecrets(config map[string]any, paths []string) (public, secret map[string]any) {
	public, secret = object.DeepCopy(config), map[string]any{}
	for _, path := range paths {
		if v, ok := cutPath(public, strings.Split(path, ".")); ok {
			secret[path] = v
		}
	}
	return public, secret
}

// cutPath takes a leaf out of a map, and the maps that it leaves empty.
func cutPath(m map[string]any, path []string) (any, bool) {
	// A key may itself hold dots, so that every way to cut the path is tried.
	for i := range path {
		key := strings.Join(path[:i+1], ".")
		v, ok := m[key]
		if !ok {
			continue
		}
		if i == len(path)-1 {
			delete(m, key)
			return v, true
		}
		child, ok := v.(map[string]any)
		if !ok {
			continue
		}
		if found, ok := cutPath(child, path[i+1:]); ok {
			if len(child) == 0 {
				delete(m, key)
			}
			return found, true
		}
	}
	return nil, false
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package helmstore reads what Helm has stored of a release.
package helmstore

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Bind returns a client that makes each request under ctx, since Helm's storage driver takes no context.
func Bind(ctx context.Context, client typedcorev1.SecretInterface) typedcorev1.SecretInterface {
	return boundSecrets{SecretInterface: client, ctx: ctx}
}

// DeployedManifest is the manifest of the newest revision of a release that Helm calls deployed; empty where there is none, or where it
// may not be read.
func DeployedManifest(ctx context.Context, client kubernetes.Interface, namespace, name string) (string, error) {
	found, err := driver.NewSecrets(Bind(ctx, client.CoreV1().Secrets(namespace))).Query(
		map[string]string{"owner": "helm", "name": name, "status": "deployed"})
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound), cluster.LacksRight(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading the deployed revision of release %s: %w", name, err)
	}
	newest := found[0]
	for _, r := range found {
		if r.Version > newest.Version {
			newest = r
		}
	}
	return newest.Manifest, nil
}

// boundSecrets adds a context to the requests of Helm's storage driver.
type boundSecrets struct {
	typedcorev1.SecretInterface
	ctx context.Context
}

func (s boundSecrets) List(_ context.Context, options metav1.ListOptions) (*corev1.SecretList, error) {
	return s.SecretInterface.List(s.ctx, options)
}

// Get gives Helm's storage driver, which takes no context, the one of the comparison.
func (s boundSecrets) Get(_ context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error) {
	return s.SecretInterface.Get(s.ctx, name, options)
}

// SecretsOf knows the secrets of a stored release.
func SecretsOf(raw *render.Raw, secret map[string]any) *redact.Secrets {
	scrub := redact.New(secret)
	for _, o := range raw.Objects {
		scrub.AddObject(o.Object)
	}
	scrub.Complete()
	return scrub
}

// Mask masks what was stored: data of Secrets, and every leaf at which one of their values appears.
func Mask(raw *render.Raw, secret map[string]any) (map[object.Key]string, error) {
	scrub := SecretsOf(raw, secret)
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

// SplitValues separates values at the paths that were given as secret, written as values.Leaves writes them.
func SplitValues(config map[string]any, paths []string) (public, secret map[string]any) {
	public, secret = object.DeepCopy(config), map[string]any{}
	for _, path := range paths {
		if v, ok := values.Cut(public, path); ok {
			secret[path] = v
		}
	}
	return public, secret
}

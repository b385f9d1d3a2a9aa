// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// removal is one Remove while it runs.
type removal struct{ session *session }

// Remove uninstalls a release, waits until its objects are gone, and deletes the record. A release that is absent is no
// error; one that carries another instance id is left alone (forgotten = true).
func Remove(ctx context.Context, target Target, options RemoveOptions) (forgotten bool, err error) {
	s, err := begin(ctx, target, sessionOptions{
		clusterUID: options.ClusterUID, timeout: options.Timeout, progress: options.Progress, mayBeGone: true,
	})
	if _, terminating := errors.AsType[*environment.NamespaceTerminatingError](err); terminating {
		return false, nil // It takes everything with it.
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.op.Finish()) }()
	if s.op.Gone {
		return false, nil
	}
	return removal{session: s}.remove(options)
}

func (r removal) remove(options RemoveOptions) (forgotten bool, err error) {
	seen, _, found, err := observe(r.session.op.Context(), r.session.target)
	if err != nil || seen.Absent() {
		return false, err
	}
	if options.InstanceID != "" && found.Check(record.Claim{InstanceID: options.InstanceID}) != nil {
		return true, nil // Another state has taken it over.
	}
	capabilities, err := r.session.target.Cluster.Capabilities(r.session.op.Context())
	if err != nil {
		return false, err
	}
	if err := r.session.connect(&capabilities); err != nil {
		return false, err
	}
	if seen.Revision != 0 {
		stored, err := r.session.stored(seen.Revision)
		if err != nil {
			return false, err
		}
		r.learnSecrets(seen, stored)
		if err := r.refuseRouted(options, stored); err != nil {
			return false, err
		}
		if err := r.session.uninstall(); err != nil {
			return false, r.explain(err, seen.Revision)
		}
	}
	ctx, stop := r.session.op.Afterward(0)
	defer stop()
	left, err := listRevisions(ctx, r.session.target)
	if err != nil {
		return false, err
	}
	if len(left) > 0 {
		last := left[len(left)-1]
		return false, fmt.Errorf("release %s is still there after Helm's uninstall (revision %d, %s): apply again", r.session.target.Name,
			last.number, last.status)
	}
	// The record goes last: as long as it is there, the next run knows whose the rest is.
	if found, err = record.Read[record.Release](ctx, r.session.op.Reads, placeOf(r.session.target)); err != nil {
		return false, err
	}
	return false, found.Remove(ctx, r.session.op.Durable)
}

// learnSecrets keeps what the release holds out of the errors of its removal: a failed hook is shown with its log.
func (r removal) learnSecrets(seen *Observation, stored *helmrelease.Release) {
	raw := &render.Raw{Manifest: stored.Manifest, Hooks: stored.Hooks}
	if err := raw.Parse(r.session.target.Handle.Namespace); err != nil {
		// A release of another tool may hold an object twice. It is removed all the same.
		r.session.op.Paced("secrets", "its Secrets are not known: "+err.Error())
	}
	var secret map[string]any
	if seen.Record != nil {
		_, secret = helmstore.SplitValues(stored.Config, seen.Record.SecretPaths)
	}
	r.session.secrets = helmstore.SecretsOf(raw, secret)
}

// refuseRouted keeps a release to which requests are still sent. Who asks holds the namespace's Lease, so that no split moves meanwhile.
func (r removal) refuseRouted(options RemoveOptions, stored *helmrelease.Release) error {
	if options.Routed == nil {
		return nil
	}
	pods, err := podLabels(stored.Manifest, r.session.target.Handle.Namespace)
	if err != nil {
		// As above: it is removed all the same.
		r.session.op.Paced("routes", "whether requests are sent to it is not known: "+err.Error())
		pods = nil
	}
	if len(pods) == 0 {
		return nil
	}
	uses, err := options.Routed(r.session.op.Context(), pods)
	var forbidden *cluster.ForbiddenError
	switch {
	case errors.As(err, &forbidden):
		// Who may not look at routes has divided none.
		r.session.op.Paced("routes", "whether requests are sent to it is not known: "+err.Error())
		return nil
	case err != nil:
		return err
	case len(uses) > 0:
		return &RoutedError{Release: r.session.target.Name, Uses: uses}
	}
	return nil
}

// podLabels are the labels of the pods of each workload in a manifest.
func podLabels(manifest, namespace string) ([]map[string]string, error) {
	objects, err := object.ParseManifest(manifest, namespace)
	if err != nil {
		return nil, err
	}
	var out []map[string]string
	for _, o := range objects {
		if apiVersion, kind, _, _ := o.Key.Parts(); !verify.IsPodWorkload(apiVersion, kind) {
			continue
		}
		labels, _, err := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
		if err != nil {
			return nil, fmt.Errorf("reading the labels of the pods of %s: %w", o.Key.Short(), err)
		}
		out = append(out, labels)
	}
	return out, nil
}

func (r removal) explain(ran error, number int) error {
	explained := r.session.explain(ran, number)
	var canceled *CanceledError
	if errors.As(explained, &canceled) {
		canceled.Removal = true
	}
	return explained
}

// RemoveOptions steer Remove.
type RemoveOptions struct {
	InstanceID string
	ClusterUID string
	Timeout    time.Duration
	Progress   func(string)
	// Routed says in words what sends requests to pods with one of these sets of labels; nil asks nobody. While there is such a thing
	// the release is not removed (*RoutedError).
	Routed func(ctx context.Context, pods []map[string]string) ([]string, error)
}

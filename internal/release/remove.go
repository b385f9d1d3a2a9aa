// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

func remove(ctx context.Context, target Target, options RemoveOptions) (forgotten bool, err error) {
	if err := target.Cluster.RequireUID(ctx, options.ClusterUID); err != nil {
		return false, err
	}
	// A namespace that is gone, or going, takes everything with it.
	var missing *environment.NamespaceMissingError
	var terminating *environment.NamespaceTerminatingError
	if _, err := environment.Check(ctx, target.Cluster, target.Handle); errors.As(err, &missing) || errors.As(err, &terminating) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if seen, forgotten, err := mayRemove(ctx, target, options); err != nil || forgotten || seen.Absent() {
		return forgotten, err
	}
	o, err := begin(ctx, target, options.Timeout, nil, options.Progress)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, o.finish()) }()
	return o.remove(options)
}

// mayRemove refuses a release that another state has taken over meanwhile.
func mayRemove(ctx context.Context, target Target, options RemoveOptions) (seen *Observation, forgotten bool, err error) {
	seen, _, found, err := observe(ctx, target)
	if err != nil {
		return nil, false, err
	}
	if found.record != nil && options.InstanceID != "" && found.record.InstanceID != options.InstanceID {
		return seen, true, nil
	}
	return seen, false, found.checkWritable(target)
}

func (o *operation) remove(options RemoveOptions) (forgotten bool, err error) {
	seen, forgotten, err := mayRemove(o.ctx, o.target, options)
	if err != nil || forgotten {
		return forgotten, err
	}
	capabilities, err := o.target.Cluster.Capabilities(o.ctx)
	if err != nil {
		return false, err
	}
	o.helm = o.helmConfiguration(&capabilities, nil)
	if seen.Revision != 0 {
		stored, err := o.helm.Releases.Get(o.target.Name, seen.Revision)
		if err != nil {
			return false, o.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", seen.Revision, o.target.Name, err))
		}
		o.learnSecrets(seen, stored)
		if err := o.refuseRouted(options, stored); err != nil {
			return false, err
		}
		if err := o.uninstall(); err != nil {
			return false, o.explainRemoval(err, seen.Revision)
		}
	}
	ctx, stop := o.afterwards()
	defer stop()
	left, err := listRevisions(ctx, o.target)
	if err != nil {
		return false, err
	}
	if len(left) > 0 {
		last := left[len(left)-1]
		return false, fmt.Errorf("release %s is still there after Helm's uninstall (revision %d, %s): apply again", o.target.Name, last.number, last.status)
	}
	// The record goes last: as long as it is there, the next run knows whose the rest is.
	found, err := readRecord(ctx, o.reads, o.target)
	if err != nil {
		return false, err
	}
	return false, found.remove(ctx, o.clients.durable, o.target)
}

// learnSecrets keeps what the release holds out of the errors of its removal: a failed hook is shown with its log.
func (o *operation) learnSecrets(seen *Observation, stored *helmrelease.Release) {
	raw := &render.Raw{Manifest: stored.Manifest, Hooks: stored.Hooks}
	if err := raw.Parse(o.target.Handle.Namespace); err != nil {
		// A release of another tool may hold an object twice. It is removed all the same.
		o.progress.say("secrets", "its Secrets are not known: "+err.Error())
	}
	var secret map[string]any
	if seen.Record != nil {
		_, secret = helmstore.SplitValues(stored.Config, seen.Record.SecretPaths)
	}
	o.secrets = helmstore.SecretsOf(raw, secret)
}

// refuseRouted keeps a release to which requests are still sent. Who asks holds the namespace's Lease, so that no split moves meanwhile.
func (o *operation) refuseRouted(options RemoveOptions, stored *helmrelease.Release) error {
	if options.Routed == nil {
		return nil
	}
	pods, err := podLabels(stored.Manifest, o.target.Handle.Namespace)
	if err != nil {
		// As above: it is removed all the same.
		o.progress.say("routes", "whether requests are sent to it is not known: "+err.Error())
		pods = nil
	}
	if len(pods) == 0 {
		return nil
	}
	uses, err := options.Routed(o.ctx, pods)
	var forbidden *cluster.ForbiddenError
	switch {
	case errors.As(err, &forbidden):
		// Who may not look at routes has divided none.
		o.progress.say("routes", "whether requests are sent to it is not known: "+err.Error())
		return nil
	case err != nil:
		return err
	case len(uses) > 0:
		return &RoutedError{Release: o.target.Name, Uses: uses}
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
		if apiVersion, kind, _, _ := o.Key.Parts(); !isPodWorkload(apiVersion, kind) {
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

func (o *operation) explainRemoval(ran error, number int) error {
	a := &application{operation: o}
	explained := a.explain(ran, number)
	var canceled *CanceledError
	if errors.As(explained, &canceled) {
		canceled.Removal = true
	}
	return explained
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
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

func (o *operation) explainRemoval(ran error, number int) error {
	a := &application{operation: o}
	explained := a.explain(ran, number)
	var cancelled *CancelledError
	if errors.As(explained, &cancelled) {
		cancelled.Removal = true
	}
	return explained
}

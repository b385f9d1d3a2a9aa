// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ObservedCanary is how a split stands.
type ObservedCanary struct {
	Observed
	// Recorded says that there is a record, RecordInstance for whom.
	Recorded       bool
	RecordInstance string
	// Verification says that a walk was cut off before its end, empty where it was not.
	Verification string
	// Quarantined says why the canary gets no more requests, empty where nothing is held.
	Quarantined string
}

// ObserveCanary reads without writing. Errors: those of Router.Read, *ForeignError, others as from cluster.Classify.
func ObserveCanary(ctx context.Context, target CanaryTarget, instance string, now time.Time) (*ObservedCanary, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	router, err := target.router(nil, instance, false)
	if err != nil {
		return nil, err
	}
	out := &ObservedCanary{}
	if out.Observed, err = router.Read(ctx); err != nil {
		return nil, err
	}
	stored, err := readCanaryRecord(ctx, client, target)
	if err != nil {
		return nil, err
	}
	r := &stored.record
	out.Recorded, out.RecordInstance = stored.there, r.Instance
	switch {
	case r.Phase == canaryWalking && r.Stage >= out.Split.Weight:
		out.Verification = fmt.Sprintf("the walk to %d%% has not come to an end", r.Stage)
	case r.Phase == canaryReturning:
		out.Verification = fmt.Sprintf("the way back from %d%% was not finished", r.Stage)
	}
	if q := r.Quarantine; q != nil && !r.cleared && now.Before(q.Until) {
		reader := target.capacities(client)
		content, err := reader.contentOf(ctx, reader.canary)
		var missing *ServiceMissingError
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		if err == nil && content == q.Content {
			out.Quarantined = fmt.Sprintf("failed at %d%%, until %s: %s", q.Weight, q.Until.Format(time.RFC3339), q.Reason)
		}
	}
	return out, nil
}

// CheckHeaders finds out whether requests with these headers can be told from the others that come to a route: its own matches may ask for other
// values of them. A route that is not there has none. Errors: *HeaderClashError, those of Router.Read.
func CheckHeaders(ctx context.Context, target CanaryTarget, headers []HeaderMatch) error {
	if len(headers) == 0 {
		return nil
	}
	made, err := target.router(nil, "", true)
	if err != nil {
		return err
	}
	r, err := plainRouter(made)
	if err != nil {
		return err
	}
	if err := r.load(ctx); err != nil || r.live == nil {
		return err
	}
	found, err := r.look(r.live)
	if err != nil || found.base() == nil {
		return err
	}
	_, err = headerRoute(r.dialect, found.route(), r.ref.header, found.base(), headers)
	return err
}

// plainRouter is the one within.
func plainRouter(made Router) (*router, error) {
	switch typed := made.(type) {
	case *router:
		return typed, nil
	case *istioRouter:
		return typed.router, nil
	}
	return nil, fmt.Errorf("%T divides no route of an object", made)
}

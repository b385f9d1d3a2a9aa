// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Observed is how a split stands.
type Observed struct {
	route.Observed
	// Recorded says that there is a record, RecordInstance for whom.
	Recorded       bool
	RecordInstance string
	// Verification says that a walk was cut off before its end, empty where it was not.
	Verification string
	// Quarantined says why the canary gets no more requests, empty where nothing is held.
	Quarantined string
}

// Observe reads without writing. Errors: those of route.Router.Read, *route.ForeignError, others as from cluster.Classify.
func Observe(ctx context.Context, target Target, instance string, now time.Time) (*Observed, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	router, err := target.router(nil, instance, false)
	if err != nil {
		return nil, err
	}
	out := &Observed{}
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
		content, err := target.tracks(client).content(ctx)
		var missing *pods.ServiceMissingError
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		if err == nil && content == q.Content {
			out.Quarantined = fmt.Sprintf("failed at %d%%, until %s: %s", q.Weight, q.Until.Format(time.RFC3339), q.Reason)
		}
	}
	return out, nil
}

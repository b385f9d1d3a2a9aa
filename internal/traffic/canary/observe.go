// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Observed is what a refresh sees of a split.
type Observed struct {
	Route route.Observed
	// Recorded says that there is a record, RecordInstance for whom.
	Recorded       bool
	RecordInstance string
	// Verification says what an interrupted apply has left to do, empty where it has nothing.
	Verification string
	// Quarantined says why the canary gets no more requests, empty where it is not quarantined.
	Quarantined string
}

// Observe reads without writing. Errors: those of record.Read and route.Router.Read, others as from cluster.Classify.
func Observe(ctx context.Context, target Target, instance string, now time.Time) (*Observed, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	router, err := target.router(nil, record.Claim{InstanceID: instance})
	if err != nil {
		return nil, err
	}
	out := &Observed{}
	if out.Route, err = router.Read(ctx); err != nil {
		return nil, err
	}
	recorded, err := record.Read[state](ctx, client, target.place())
	if err != nil || !recorded.Exists() {
		return out, err
	}
	s := recorded.Content
	out.Recorded, out.RecordInstance = true, recorded.InstanceID()
	switch {
	case s.Phase == shifting && s.Step >= out.Route.Split.Weight:
		out.Verification = fmt.Sprintf("the step to %d%% is not complete", s.Step)
	case s.Phase == rollingBack:
		out.Verification = fmt.Sprintf("the rollback from %d%% is not complete", s.Step)
	}
	if q := s.Quarantine; q != nil && !recorded.Cleared() && now.Before(q.Until) {
		content, err := target.tracks(client).content(ctx)
		if _, missing := errors.AsType[*pods.ServiceMissingError](err); err != nil && !missing {
			return nil, err
		}
		if err == nil && content == q.Content {
			out.Quarantined = fmt.Sprintf("failed at %d%%, until %s: %s", q.Weight, q.Until.Format(time.RFC3339), q.Reason)
		}
	}
	return out, nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// Observed is what a refresh sees of a blue-green switch.
type Observed struct {
	// Active is the color in the live Service's selector, empty where it has none; it may be any text.
	Active string
	// Recorded says that there is a record, InstanceID for whom.
	Recorded   bool
	InstanceID string
	// Verification says what an interrupted apply has left to do, empty where it has nothing.
	Verification string
	// ScaleDown says that the color that is not live was kept for long enough and still has replicas.
	ScaleDown bool
	// Quarantined says why a color is not switched to, empty where none is quarantined.
	Quarantined string
}

// Observe reads without writing. Errors: *pods.ServiceMissingError, those of record.Read and route.Router.Read, others as from
// cluster.Classify.
func Observe(ctx context.Context, target Target, keep *time.Duration, now time.Time) (*Observed, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	service, err := readService(ctx, client, nil, target)
	if err != nil {
		return nil, err
	}
	recorded, err := record.Read[state](ctx, client, target.place())
	if err != nil {
		return nil, err
	}
	out := &Observed{Active: service.color, Recorded: recorded.Exists(), InstanceID: recorded.InstanceID()}
	if !recorded.Exists() {
		return out, nil
	}
	s := recorded.Content
	of := colors{
		reader: pods.Reader{Cluster: target.Cluster, Client: client, Namespace: target.Handle.Namespace},
		target: target,
		common: service.common,
	}
	if s.Target == out.Active {
		switch s.Phase {
		case switching, verifying:
			out.Verification = fmt.Sprintf("the switch to %s has no verdict yet", s.Target)
		case rollingBack:
			out.Verification = fmt.Sprintf("the rollback from %s is not complete", s.Target)
		case steady:
		}
	}
	if s.due(keep, now) && s.Target == out.Active {
		idle, err := of.idle(ctx, Opposite(out.Active), s.PreviousContent)
		if err != nil {
			return nil, err
		}
		out.ScaleDown = len(idle) > 0
	}
	if q := s.Quarantine; q != nil && !recorded.Cleared() && now.Before(q.Until) {
		content, err := of.content(ctx, q.Color)
		if err != nil {
			return nil, err
		}
		if content == q.Content {
			out.Quarantined = fmt.Sprintf("%s until %s: %s", q.Color, q.Until.Format(time.RFC3339), q.Reason)
		}
	}
	return out, nil
}

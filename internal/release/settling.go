// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// settling makes Helm's storage say what has happened, after Helm has returned.
type settling struct{ session *session }

// settled is what a revision is after Helm has returned.
type settled struct {
	number int
	status helmrelease.Status
}

// settle reads again what Helm wrote. Helm calls an install done whose last write failed, and leaves it pending: that is put
// right here, or reported.
func (t settling) settle(ctx context.Context, number int, result *helmrelease.Release, ran error) (settled, error) {
	want := helmrelease.StatusDeployed
	if ran != nil {
		want = helmrelease.StatusFailed
	}
	var last error
	for try := range 4 {
		if try > 0 {
			rollout.Pause(ctx, rollout.PollEvery)
			if ctx.Err() != nil {
				break
			}
		}
		revisions, err := listRevisions(ctx, t.session.target)
		if err != nil {
			last = err
			continue
		}
		now, err := t.once(revisions, number, want, result, ran)
		if err == nil {
			return now, nil
		}
		last = err
	}
	return settled{number: number, status: helmrelease.StatusUnknown}, errUnrecorded(
		t.session.target.Name, number, want.String(), t.session.target.Cluster.Classify(last))
}

func (t settling) once(revisions []revision, number int, want helmrelease.Status, result *helmrelease.Release, ran error) (settled, error) {
	var mine *revision
	newest := settled{}
	for i := range revisions {
		if revisions[i].number == number {
			mine = &revisions[i]
		}
		newest = settled{revisions[i].number, revisions[i].status}
	}
	if mine == nil {
		if ran != nil {
			return newest, nil //nolint:nilerr // Helm failed before it stored the revision, and the caller reports ran.
		}
		return newest, fmt.Errorf("revision %d of release %s is not in Helm's storage", number, t.session.target.Name)
	}
	if mine.status != want {
		if err := t.rewrite(number, want, result, ran); err != nil {
			return newest, err
		}
	}
	if want == helmrelease.StatusDeployed {
		for _, r := range revisions {
			if r.number < number && r.status == helmrelease.StatusDeployed {
				if err := t.rewrite(r.number, helmrelease.StatusSuperseded, nil, nil); err != nil {
					return newest, err
				}
			}
		}
	}
	return settled{number, want}, nil
}

// rewrite gives a revision in storage the status that it has.
func (t settling) rewrite(number int, status helmrelease.Status, result *helmrelease.Release, ran error) error {
	if result == nil || result.Version != number {
		stored, err := t.session.helm.Releases.Get(t.session.target.Name, number)
		if err != nil {
			return fmt.Errorf("reading revision %d of release %s: %w", number, t.session.target.Name, err)
		}
		result = stored
	}
	description := result.Info.Description
	if ran != nil {
		description = t.session.redact(explain.Library(ran))
	}
	result.SetStatus(status, description)
	if err := t.session.helm.Releases.Update(result); err != nil {
		return fmt.Errorf("writing revision %d of release %s as %s: %w", number, t.session.target.Name, status, err)
	}
	return nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// markFailed writes a revision's end into Helm's storage, with the name of the apply that died.
func (s *session) markFailed(number int, reason string) error {
	stored, err := s.stored(number)
	if err != nil {
		return err
	}
	stored.SetStatus(helmrelease.StatusFailed, fmt.Sprintf("Slipway: %s. Marked failed by %s.", reason, s.op.Holder()))
	if err := s.helm.Releases.Update(stored); err != nil {
		return s.target.Cluster.Classify(fmt.Errorf("marking revision %d of release %s as failed: %w", number, s.target.Name, err))
	}
	return nil
}

// uninstall removes the release with its history, and waits until its objects are gone.
func (s *session) uninstall() error {
	s.op.Doing("uninstalling")
	u := action.NewUninstall(s.helm)
	u.Wait = true
	u.Timeout = s.op.Timeout()
	u.DeletionPropagation = "background"
	_, err := u.Run(s.target.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil
	}
	return err
}

// settled is what a revision is after Helm has returned.
type settled struct {
	number int
	status helmrelease.Status
}

// settle reads again what Helm wrote. Helm calls an install done whose last write failed, and leaves it pending: that is put
// right here, or reported.
func (s *session) settle(ctx context.Context, number int, result *helmrelease.Release, ran error) (settled, error) {
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
		revisions, err := listRevisions(ctx, s.target)
		if err != nil {
			last = err
			continue
		}
		now, err := s.settleOnce(revisions, number, want, result, ran)
		if err == nil {
			return now, nil
		}
		last = err
	}
	return settled{number: number, status: helmrelease.StatusUnknown}, &UnrecordedError{
		Release: s.target.Name, Revision: number, Want: want.String(), Cause: s.target.Cluster.Classify(last),
	}
}

func (s *session) settleOnce(revisions []revision, number int, want helmrelease.Status, result *helmrelease.Release, ran error) (settled, error) {
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
			return newest, nil //nolint:nilerr // Helm failed before it stored the revision, and ran is told by who called.
		}
		return newest, fmt.Errorf("revision %d of release %s is not in Helm's storage", number, s.target.Name)
	}
	if mine.status != want {
		if err := s.rewrite(number, want, result, ran); err != nil {
			return newest, err
		}
	}
	if want == helmrelease.StatusDeployed {
		for _, r := range revisions {
			if r.number < number && r.status == helmrelease.StatusDeployed {
				if err := s.rewrite(r.number, helmrelease.StatusSuperseded, nil, nil); err != nil {
					return newest, err
				}
			}
		}
	}
	return settled{number, want}, nil
}

// rewrite gives a revision in storage the status that it has.
func (s *session) rewrite(number int, status helmrelease.Status, result *helmrelease.Release, ran error) error {
	if result == nil || result.Version != number {
		stored, err := s.helm.Releases.Get(s.target.Name, number)
		if err != nil {
			return fmt.Errorf("reading revision %d of release %s: %w", number, s.target.Name, err)
		}
		result = stored
	}
	description := result.Info.Description
	if ran != nil {
		description = s.redact(explain.Library(ran))
	}
	result.SetStatus(status, description)
	if err := s.helm.Releases.Update(result); err != nil {
		return fmt.Errorf("writing revision %d of release %s as %s: %w", number, s.target.Name, status, err)
	}
	return nil
}

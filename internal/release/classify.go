// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
)

// condition is what exists in the namespace under a release's name. One action follows from each.
type condition int

const (
	// absent: no revision. → install.
	absent condition = iota
	// uninstalled: removed by Helm with its history kept. → install over it.
	uninstalled
	// uninstalling: a removal that ended half way. → finish it, install.
	uninstalling
	// pendingInstall: a first install that ended silently. → mark it failed, install over it, so that install hooks run.
	pendingInstall
	// pendingUpgrade: an upgrade or rollback that ended silently. → mark it failed, upgrade.
	pendingUpgrade
	// failedInstall: failed, and nothing before it ever worked. → install over it.
	failedInstall
	// failedUpgrade: failed, and an earlier revision worked. → upgrade.
	failedUpgrade
	// deployed → upgrade, or nothing where the content is the same.
	deployed
)

func (c condition) String() string {
	return [...]string{"absent", "uninstalled", "uninstalling", "pending install", "pending upgrade", "failed install", "failed upgrade",
		"deployed"}[c]
}

// situation is a condition with what it was derived from.
type situation struct {
	condition condition
	// last is the newest revision, deployed the number of the newest deployed one (0: none).
	last     revision
	deployed int
	// attempted are the failed or pending revisions newer than the last one that worked, oldest first.
	attempted []int
}

// installs reports that the next revision is made by Helm's install, to which the templates see .Release.IsInstall.
func (s situation) installs() bool {
	switch s.condition {
	case absent, uninstalled, uninstalling, pendingInstall, failedInstall:
		return true
	}
	return false
}

// next is the number of the revision that will be made.
func (s situation) next() int {
	if s.condition == uninstalling {
		return 1
	}
	return s.last.number + 1
}

// classify classifies the revisions of a release, oldest first. Storage is asked only where their states are not enough.
func classify(revisions []revision, releases *storage.Storage, name string) (situation, error) {
	if len(revisions) == 0 {
		return situation{condition: absent}, nil
	}
	s := situation{last: revisions[len(revisions)-1], deployed: newestDeployed(revisions)}
	worked := s.deployed
	for _, r := range slices.Backward(revisions) {
		if r.status != helmrelease.StatusSuperseded || r.number < worked {
			continue
		}
		removed, err := wasRemoved(releases, name, r.number)
		if err != nil {
			return s, err
		}
		if !removed {
			worked = r.number
		}
		break
	}
	for _, r := range revisions {
		if r.number > worked && (r.status == helmrelease.StatusFailed || r.status == helmrelease.StatusUnknown || r.status.IsPending()) {
			s.attempted = append(s.attempted, r.number)
		}
	}
	switch s.last.status {
	case helmrelease.StatusDeployed, helmrelease.StatusSuperseded:
		s.condition = deployed
	case helmrelease.StatusUninstalled:
		s.condition = uninstalled
	case helmrelease.StatusUninstalling:
		s.condition = uninstalling
	case helmrelease.StatusPendingInstall:
		s.condition = pendingInstall
	case helmrelease.StatusPendingUpgrade, helmrelease.StatusPendingRollback:
		s.condition = pendingUpgrade
		if worked == 0 {
			s.condition = pendingInstall
		}
	case helmrelease.StatusFailed, helmrelease.StatusUnknown:
		s.condition = failedUpgrade
		if worked == 0 {
			s.condition = failedInstall
		}
	default:
		return s, fmt.Errorf("revision %d of release %s has the status %q, which no known version of Helm writes", s.last.number, name,
			s.last.status)
	}
	return s, nil
}

// wasRemoved reports that a superseded revision is one that was uninstalled before: Helm supersedes those too, when it
// installs over them.
func wasRemoved(releases *storage.Storage, name string, number int) (bool, error) {
	stored, err := releases.Get(name, number)
	if err != nil {
		return false, fmt.Errorf("reading revision %d of release %s: %w", number, name, err)
	}
	return stored.Info != nil && !stored.Info.Deleted.IsZero(), nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"time"
)

// An apply observes the release, decides, does one thing, and observes again, until what it did ends it. Decide is the whole of the
// decision: it sends no request, and each state has exactly one action.

// State is what an apply finds under the release's name, compared with the content that it is to bring live.
type State string

const (
	// Foreign: the release, or the record, belongs to another owner. → RefuseForeign.
	Foreign State = "foreign"
	// Absent: there is no revision. → Install.
	Absent State = "absent"
	// Uninstalled: Helm removed it and kept its history. → Install over it.
	Uninstalled State = "uninstalled"
	// RemovalCutOff: a removal ended half way. → FinishRemoval.
	RemovalCutOff State = "removal cut off"
	// PendingInstall and PendingUpgrade: an apply ended before its revision did. It was Slipway's, and we hold the Lease, or it is another
	// tool's and old. → MarkFailed, so that Helm can continue.
	PendingInstall State = "pending install"
	PendingUpgrade State = "pending upgrade"
	// PendingOfAnother: another tool began it, and may still be at work, or the configuration leaves it alone. → RefusePending.
	PendingOfAnother State = "pending of another tool"
	// FailedInstall and FailedUpgrade: a revision failed, and hooks of it may still run. → AwaitHooks.
	FailedInstall State = "failed install"
	FailedUpgrade State = "failed upgrade"
	// ReadyToReinstall and ReadyToUpgrade: a revision failed, and its hooks have ended. → Install over it, Upgrade.
	ReadyToReinstall State = "failed install, hooks ended"
	ReadyToUpgrade   State = "failed upgrade, hooks ended"
	// Outdated: another content is deployed. → Upgrade.
	Outdated State = "deployed with other content"
	// Unchanged: the content is deployed, and nothing is left to verify. → Keep.
	Unchanged State = "deployed unchanged"
	// Unverified: the content is deployed, and was never verified by this policy. → Verify.
	Unverified State = "deployed unchanged, not verified"
	// VerificationCutOff: the content is deployed, and its verification was interrupted. → Verify from there.
	VerificationCutOff State = "deployed unchanged, verification cut off"
	// Quarantined: the content failed its verification not long ago. → RefuseQuarantined.
	Quarantined State = "quarantined"
	// RollbackCutOff: the content is quarantined, and the rollback of it has not come to its end. → FinishRollback.
	RollbackCutOff State = "quarantined, rollback cut off"
)

// Action is the one thing that an apply does next. Those that begin with "Refuse" end it with an error, and so do Install, Upgrade,
// Verify and Keep, with or without one; after the others the apply observes again.
type Action string

// The actions.
const (
	RefuseForeign     Action = "refuse what belongs to another owner"
	RefusePending     Action = "refuse the pending revision of another tool"
	RefuseQuarantined Action = "refuse quarantined content"
	FinishRollback    Action = "finish the rollback"
	FinishRemoval     Action = "finish the removal"
	MarkFailed        Action = "mark the pending revision as failed"
	AwaitHooks        Action = "wait for hooks of the failed revision"
	Install           Action = "install"
	Upgrade           Action = "upgrade"
	Verify            Action = "verify"
	Keep              Action = "keep"
)

// Observed is what one look found.
type Observed struct {
	// Foreign says that the release, or its record, belongs to another owner. Nothing else is known then.
	Foreign bool
	// condition is what Helm's storage holds.
	condition condition
	// Ours says that Slipway began the newest revision; Age is how old it is, and LeavePending that pending revisions of other tools are
	// to be left alone (on_pending = "fail").
	Ours         bool
	Age          time.Duration
	LeavePending bool
	// HooksEnded says that this apply has waited for the hooks of the newest revision.
	HooksEnded bool
	// Same says that the deployed revision has the content that is applied.
	Same bool
	// VerificationDue says that the deployed revision is not known to be good by this policy, VerificationBegun that its verification had
	// begun.
	VerificationDue, VerificationBegun bool
	// Quarantined says that the content may not be deployed now, RollingBack that a rollback has begun and not ended.
	Quarantined, RollingBack bool
}

// State classifies what was observed.
func (o Observed) State() State {
	switch {
	case o.Foreign:
		return Foreign
	case o.Quarantined && o.RollingBack:
		return RollbackCutOff
	case o.Quarantined:
		return Quarantined
	}
	switch o.condition {
	case absent:
		return Absent
	case uninstalled:
		return Uninstalled
	case uninstalling:
		return RemovalCutOff
	case pendingInstall, pendingUpgrade:
		return o.pending()
	case failedInstall:
		if o.HooksEnded {
			return ReadyToReinstall
		}
		return FailedInstall
	case failedUpgrade:
		if o.HooksEnded {
			return ReadyToUpgrade
		}
		return FailedUpgrade
	case deployed:
		return o.deployed()
	}
	panic(fmt.Sprintf("release: condition %d has no state", o.condition))
}

func (o Observed) pending() State {
	switch {
	case !o.Ours && (o.LeavePending || o.Age < foreignPendingAge):
		return PendingOfAnother
	case o.condition == pendingInstall:
		return PendingInstall
	}
	return PendingUpgrade
}

func (o Observed) deployed() State {
	switch {
	case !o.Same:
		return Outdated
	case !o.VerificationDue:
		return Unchanged
	case o.VerificationBegun:
		return VerificationCutOff
	}
	return Unverified
}

// Decide says what follows from what was observed.
func Decide(o Observed) Action {
	switch state := o.State(); state {
	case Foreign:
		return RefuseForeign
	case PendingOfAnother:
		return RefusePending
	case Quarantined:
		return RefuseQuarantined
	case RollbackCutOff:
		return FinishRollback
	case RemovalCutOff:
		return FinishRemoval
	case PendingInstall, PendingUpgrade:
		return MarkFailed
	case FailedInstall, FailedUpgrade:
		return AwaitHooks
	case Absent, Uninstalled, ReadyToReinstall:
		return Install
	case ReadyToUpgrade, Outdated:
		return Upgrade
	case Unverified, VerificationCutOff:
		return Verify
	case Unchanged:
		return Keep
	default:
		panic("release: state " + string(state) + " has no action")
	}
}

// deploys reports that an action is a step on the way to a new revision.
func (a Action) deploys() bool {
	switch a {
	case FinishRemoval, MarkFailed, AwaitHooks, Install, Upgrade, RefusePending:
		return true
	}
	return false
}

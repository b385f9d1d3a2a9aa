// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import "github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"

// action is the one thing that an apply does next.
type action string

const (
	// finishRollback restores the split from before, as an interrupted apply had begun to.
	finishRollback action = "finish the rollback"
	// resume continues the steps of an interrupted apply, from what its record and the route say.
	resume action = "resume"
	// begin records where the steps start. Content that is quarantined ends the apply here.
	begin action = "begin"
	// shift moves requests to the next step, as far as the pods allow.
	shift action = "shift"
	// verify pauses at the step and analyzes it.
	verify action = "verify"
	// finish records that the split is as wanted.
	finish action = "finish"
	// done ends the apply.
	done action = "done"
)

// reached is how far this apply has come with the current step.
type reached string

const (
	nothing  reached = "nothing"  // neither begun nor resumed
	between  reached = "between"  // the next step is to be entered
	shifted  reached = "shifted"  // the canary has the requests that the step wants to verify
	verified reached = "verified" // the step has passed, or took requests away
	complete reached = "complete" // the split is recorded as wanted
)

// situation is all that decides what comes next.
type situation struct {
	// recorded is what the record says, split what the route does.
	recorded state
	split    route.Split
	wanted   route.Split
	steps    []Step
	reached  reached
}

// raises reports that the canary gets requests that it did not have before the steps began.
func (s situation) raises() bool {
	return s.recorded.Baseline == nil || s.wanted.Raises(*s.recorded.Baseline)
}

// step is the step that is next or under way.
func (s situation) step() Step {
	return PlannedSteps(min(s.recorded.Passed, s.wanted.Weight), s.wanted.Weight, s.steps)[0]
}

// decide returns the next action. It asks nobody.
func decide(s situation) action {
	switch s.reached {
	case nothing:
		switch {
		case s.recorded.returns(s.split):
			return finishRollback
		case s.recorded.resumes(s.split):
			return resume
		}
		return begin
	case between:
		return shift
	case shifted:
		return verify
	case verified:
		if s.recorded.Passed != s.wanted.Weight {
			return shift
		}
		return finish
	case complete:
	}
	return done
}

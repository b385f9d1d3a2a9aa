// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

// action is the one thing that an apply does next.
type action string

const (
	// finishRollback makes the color from before live again, as an interrupted apply had begun to.
	finishRollback action = "finish the rollback"
	// prepare brings the wanted color to where it can take over. Content that is quarantined ends the apply here.
	prepare action = "prepare"
	// analyzePreview analyzes the color on the preview Service.
	analyzePreview action = "analyze on the preview Service"
	// makeLive switches.
	makeLive action = "switch"
	// confirm waits until the color alone is behind the Service.
	confirm action = "confirm"
	// analyzeLive analyzes the color with the traffic of the Service.
	analyzeLive action = "analyze live"
	// finish records that the color is live and good, and scales the other one down when it is due.
	finish action = "finish"
	// done ends the apply.
	done action = "done"
)

// reached is how far this apply has come.
type reached string

const (
	nothing   reached = "nothing"
	prepared  reached = "prepared"  // the color can take over
	accepted  reached = "accepted"  // it has passed on the preview Service
	live      reached = "live"      // it was made live
	confirmed reached = "confirmed" // it alone is behind the Service
	passed    reached = "passed"    // it has passed with the traffic
	complete  reached = "complete"  // all is recorded
)

// situation is all that decides what comes next.
type situation struct {
	// recorded is what the record says, color what is live.
	recorded state
	color    string
	wanted   string
	reached  reached
	// before and after say that there is an analysis on the preview Service, and one with the traffic.
	before, after bool
	// serving says that pods of the other color have the traffic; knownGood that this content was live before without failing. Both are known
	// once the color is prepared.
	serving, knownGood bool
}

// decide returns the next action. It asks nobody.
func decide(s situation) action {
	switch s.reached {
	case nothing:
		unverified := s.recorded.Target == s.wanted && (s.recorded.Phase == switching || s.recorded.Phase == verifying)
		switch {
		case s.recorded.Phase == rollingBack && s.color == s.recorded.Target:
			return finishRollback
		case s.color != s.wanted:
			return prepare
		case unverified:
			return confirm
		}
		return finish
	case prepared:
		if s.before && s.serving && !s.knownGood {
			return analyzePreview
		}
		return makeLive
	case accepted:
		return makeLive
	case live:
		return confirm
	case confirmed:
		if s.after && s.recorded.Moved {
			return analyzeLive
		}
		return finish
	case passed:
		return finish
	case complete:
	}
	return done
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"fmt"
	"strings"
)

// RollbackError is an earlier version of a schema that is not restored.
type RollbackError struct {
	From, To string
	// Unknown says that the version is lower than the present one, and not recorded.
	Unknown bool
	// NoCommand says that there is no command for the rollback. Otherwise it was not allowed.
	NoCommand bool
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("the schema is at version %s, and %s is an earlier one", e.From, e.To)
}

// Explain says what happened, what was seen and what to do.
func (e *RollbackError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("The schema would go back from version %s to %s.", e.From, e.To)
	if e.Unknown {
		return happened, fmt.Sprintf("Version %s is lower than %s, and was never recorded here, so that it cannot be rolled back to.", e.To,
				e.From),
			"Nothing was run. Give the version that the schema has, or a new one."
	}
	observed = fmt.Sprintf("Version %s was run before %s, as the record in the namespace says.", e.To, e.From)
	const forward = "Nothing was run. Usually the solution is a new version that changes the schema again. "
	if e.NoCommand {
		return happened, observed, forward + "To roll back, give commands.rollback, and set commands.allow_rollback = true."
	}
	return happened, observed, forward + "To roll back with commands.rollback, set commands.allow_rollback = true. What only the " +
		"newer version's schema holds may be lost, and the application " +
		"must not need it any more."
}

// PhaseError is a phase that did not succeed.
type PhaseError struct {
	Migration, Namespace, Job string
	Phase                     Phase
	Command                   []string
	Reason                    string
	ExitCode                  *int32 // nil: the command did not end by itself
	Events                    []string
	Log                       []string // the tail
	// StillRuns says that the Job may still run: the next apply waits for it.
	StillRuns bool
	// Idle says that the command did not start.
	Idle bool
	// gone says that it is not known how the Job ended.
	gone bool
}

func (e *PhaseError) Error() string {
	return fmt.Sprintf("phase %s of migration %s (Job %s/%s): %s", e.Phase, e.Migration, e.Namespace, e.Job, e.Reason)
}

// Explain says what happened, what was seen and what to do.
func (e *PhaseError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("The phase %s of migration %s did not succeed (Job %s in namespace %s): %s.", e.Phase, e.Migration, e.Job,
		e.Namespace, strings.TrimSuffix(e.Reason, "."))
	seen := []string{"Command: " + strings.Join(e.Command, " ")}
	if e.ExitCode != nil {
		seen[0] += fmt.Sprintf("\nExit code: %d", *e.ExitCode)
	}
	if len(e.Events) > 0 {
		seen = append(seen, "Events:\n  "+strings.Join(e.Events, "\n  "))
	}
	if len(e.Log) > 0 {
		seen = append(seen, "End of the log:\n  "+strings.Join(e.Log, "\n  "))
	}
	advice = map[Phase]string{
		PhaseStatus: "Nothing was run. Fix it and apply again.",
		PhaseCheck:  "Nothing was run. Fix it and apply again: it begins with this phase.",
		PhaseRun: "What it has changed before, the tool alone knows. Fix it and apply again: the command is run again, and " +
			"a tool that records what it has done resumes there.",
		PhaseRollback: "What it has changed before, the tool alone knows. Fix it and apply again: the command is run again. Or " +
			"give the version from before, which runs forward.",
		PhaseValidate: "What was run is recorded, and is not run again. Fix it and apply again: it begins with this phase. Or " +
			"give a new version that repairs the schema.",
	}[e.Phase]
	if e.Idle {
		advice = notStarted
	} else if e.StillRuns {
		advice = "Apply again: it waits for the Job, and takes over how it ends."
	}
	return happened, strings.Join(seen, "\n\n"), advice
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// TestRunner_OnEachVersion runs the tests of the runner on each supported version of PostgreSQL. PgBouncer's and those that only
// kill or refuse to connect depend on no version.
func TestRunner_OnEachVersion(t *testing.T) {
	tests := []struct {
		name string
		test func(t *testing.T)
	}{
		{"applies files in order and only once", TestUp_AppliesPendingFilesInOrderAndOnlyOnce},
		{"rolls a file back with its record", TestUp_RollsATransactionalFileBackWithItsRecord},
		{"resumes at the failed statement", TestUp_ResumesAFileWithoutTransactionAtTheFailedStatement},
		{"refuses edited statements", TestUp_RefusesAFileWhoseFinishedStatementsWereEdited},
		{"compares files and checksums with the record", TestUp_RefusesFilesThatDoNotFitTheRecord},
		{"takes over from goose", TestUp_TakesOverWhatGooseApplied},
		{"protects its tables", TestUp_ItsTablesAreWrittenByItsOwnerAlone},
		{"declares a baseline", TestUp_DeclaresABaseline},
		{"gives way to a lock", TestUp_GivesWayToALockAndRetries},
		{"gives up on a lock", TestUp_GivesUpOnALockThatIsNotReleased},
		{"applies once with two runners", TestUp_TwoRunnersApplyEachFileOnce},
		{"names the holder of the lock", TestUp_ReportsTheHolderOfTheLock},
		{"replaces the index of a failed build", TestUp_ReplacesTheIndexOfAFailedBuild},
		{"leaves the index of another session alone", TestUp_LeavesAnIndexAloneThatAnotherSessionBuilds},
		{"stops when it is canceled", TestUp_StopsWhenItIsCanceledAndResumesLater},
		{"stops when its lock is lost", TestUp_StopsWhenItsLockIsLost},
		{"ends its statement when it is killed", TestProgram_ItsStatementEndsWithItWhenItIsKilled},
		{"checks before a migration", TestMigrate_RunsNothingWhenACheckFails},
		{"validates after a migration", TestMigrate_KeepsAppliedFilesWhenAValidationFails},
		{"only reads in checks", TestCheck_OnlyReads},
		{"distinguishes passing from failing checks", TestCheck_DistinguishesPassingFromFailingStatements},
	}
	ofTheMachine := server
	t.Cleanup(func() { server = ofTheMachine })
	postgres.OnEachVersion(t, func(t *testing.T, _ int, other *postgres.Server) {
		server = other
		for _, test := range tests {
			t.Run(test.name, test.test)
		}
	})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package record keeps what Slipway did in an environment, for the next run, which may be another process on another machine. Each
// record is a ConfigMap in the environment's namespace. The package owns how a record is stored, whose it is, which versions of it are
// understood, and the labels and annotations of records and of what belongs to them. Those of a namespace are in package environment.
package record

// Labels of records, and of what belongs to them. The value is the name of the release, canary, Service or migration.
const (
	LabelRelease   = "slipway.dev/release"
	LabelCanary    = "slipway.dev/split"
	LabelBlueGreen = "slipway.dev/blue-green"
	LabelMigration = "slipway.dev/migration"
	// LabelCheck is on the Jobs of smoke tests and acceptance checks. Its value is the name of the check.
	LabelCheck = "slipway.dev/check"
)

// Annotations that people put on a record, with kubectl for example.
const (
	// AnnotationAbort ends the verification that runs, and rolls back. Its value is the reason; it may be empty.
	AnnotationAbort = "slipway.dev/abort"
	// AnnotationQuarantine, with the value QuarantineCleared, unblocks content that failed its verification.
	AnnotationQuarantine = "slipway.dev/quarantine"
	// QuarantineCleared is the value of AnnotationQuarantine.
	QuarantineCleared = "cleared"
)

// Annotations on the record of a contract migration, see Irreversible.
const (
	AnnotationIrreversibleSince     = "slipway.dev/irreversible-since"
	AnnotationIrreversibleSafeAfter = "slipway.dev/irreversible-safe-after"
	AnnotationIrreversibleReason    = "slipway.dev/irreversible-reason"
)

// Kind is one kind of record.
type Kind struct {
	// Noun is what the record is of, such as "release".
	Noun string
	// Prefix and the name make the name of the ConfigMap.
	Prefix string
	// Label has the name as its value.
	Label string
	// Schema is the newest version of the content that this code understands, and the one that it writes.
	Schema int
}

// The kinds of records.
var (
	OfRelease   = Kind{Noun: "release", Prefix: "slipway-release-", Label: LabelRelease, Schema: 2}
	OfCanary    = Kind{Noun: "canary", Prefix: "slipway-canary-", Label: LabelCanary, Schema: 1}
	OfBlueGreen = Kind{Noun: "blue-green switch", Prefix: "slipway-blue-green-", Label: LabelBlueGreen, Schema: 1}
	OfMigration = Kind{Noun: "migration", Prefix: "slipway-migration-", Label: LabelMigration, Schema: 1}
)

// Object is the name of the ConfigMap of a record.
func (k Kind) Object(name string) string { return k.Prefix + name }

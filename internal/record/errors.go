// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// ForeignError says that a ConfigMap with the name of a record belongs to another owner, or that the record is of another client or stage.
type ForeignError struct {
	// Object is "ConfigMap namespace/name".
	Object string
	// Client and Stage are those in the record; empty where it is no record of Slipway's, which Reason says.
	Client, Stage string
	Reason        string
}

// Explain implements explain.Explainer.
func (e *ForeignError) Explain() (happened, observed, advice string) {
	if e.Client != "" || e.Stage != "" {
		return fmt.Sprintf("%s belongs to another environment.", e.Object),
			fmt.Sprintf("It is the record of client %q, stage %q. Nothing was changed.", e.Client, e.Stage),
			"Check the namespace of this environment: two environments must not share one."
	}
	return fmt.Sprintf("%s is not a record of Slipway.", e.Object),
		fmt.Sprintf("It has the name of a record, but %s. Nothing was changed.", e.Reason),
		"Rename or remove that ConfigMap if it is not needed."
}

func (e *ForeignError) Error() string { return explain.Text(e.Explain()) }

// NewerError says that a newer version of Slipway wrote a record. It is not used: its content may mean something else.
type NewerError struct {
	Object, Noun, Name string
	SchemaVersion      int
}

// Explain implements explain.Explainer.
func (e *NewerError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("A newer version of Slipway wrote the record of %s %s.", e.Noun, e.Name),
		fmt.Sprintf("%s has schema version %d, which this version does not know. Nothing was changed.", e.Object, e.SchemaVersion),
		"Use the newer version of the provider, or one later than that."
}

func (e *NewerError) Error() string { return explain.Text(e.Explain()) }

// OwnerError says that a record belongs to another resource.
type OwnerError struct {
	Noun, Name, Namespace, Object string
	// Want is the instance id in this state, Got the one on the record.
	Want, Got string
	// SameRun says that another resource of this run of Terraform has made it: two resources have one name.
	SameRun bool
}

// Explain implements explain.Explainer.
func (e *OwnerError) Explain() (happened, observed, advice string) {
	if e.SameRun {
		return fmt.Sprintf("Two resources of this configuration are %s %s in namespace %s.", e.Noun, e.Name, e.Namespace),
			"Another resource of this run of Terraform has just created it. Nothing was changed.",
			"Give one of them another name, or remove one of them."
	}
	return fmt.Sprintf("The %s %s in namespace %s has another owner now.", e.Noun, e.Name, e.Namespace),
		fmt.Sprintf("%s carries the instance id %s, and this state has %s: another Terraform state has taken it over. Nothing was changed.",
			e.Object, e.Got, e.Want),
		"Remove it from the state that should not manage it (a removed block with destroy = false, or terraform state rm)."
}

func (e *OwnerError) Error() string { return explain.Text(e.Explain()) }

// ConflictError says that another user, without the Lease, changed a record while it was used.
type ConflictError struct {
	Object, Noun, Name string
	Cause              error
}

// Explain implements explain.Explainer.
func (e *ConflictError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Another user or program changed the record of %s %s meanwhile.", e.Noun, e.Name),
		fmt.Sprintf("%s is not as it was read, and was not overwritten.", e.Object), "Apply again."
}

func (e *ConflictError) Error() string { return explain.Text(e.Explain()) }

// Unwrap returns the answer of the API server.
func (e *ConflictError) Unwrap() error { return e.Cause }

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// InstanceError means that a namespace is managed by another resource instance than the one in this state.
type InstanceError struct {
	Namespace string
	// Want is the id in state, Got the one on the namespace.
	Want string
	Got  string
}

// Explain implements the explanation that diagnostics print.
func (e *InstanceError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Namespace %q is managed by another Terraform state.", e.Namespace),
		fmt.Sprintf("Its annotation %s is %s; this state has %s. Another state took the environment over, or this state is an old copy.",
			environment.AnnotationInstance, e.Got, e.Want),
		"Use the state that manages it. If this is the one, forget the resource (terraform state rm) and import it again."
}

func (e *InstanceError) Error() string { return explain.Text(e.Explain()) }

// ProtectedError means that deletion_protection forbids to remove the environment.
type ProtectedError struct {
	Namespace string
}

// Explain implements the explanation that diagnostics print.
func (e *ProtectedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The environment with namespace %q is protected against deletion.", e.Namespace),
		"deletion_protection is true in the state. Destroying the environment deletes its namespace with all that is in it.",
		"If it really has to go, set deletion_protection = false, apply, and destroy after that. If it only was tainted, run terraform untaint."
}

func (e *ProtectedError) Error() string { return explain.Text(e.Explain()) }

// RemainingError means that a namespace still has inhabitants and is therefore not deleted.
type RemainingError struct {
	Namespace string
	Remaining []string
}

// Explain implements the explanation that diagnostics print.
func (e *RemainingError) Explain() (happened, observed, advice string) {
	const most = 20
	shown := e.Remaining
	more := ""
	if len(shown) > most {
		more = fmt.Sprintf("\nand %d more", len(shown)-most)
		shown = shown[:most]
	}
	return fmt.Sprintf("Namespace %q is not empty.", e.Namespace),
		"These are left in it:\n" + strings.Join(shown, "\n") + more,
		"Destroy the releases first; terraform destroy does so by itself for those in this state. Remove what others put there by " +
			"hand, after its data is saved."
}

func (e *RemainingError) Error() string { return explain.Text(e.Explain()) }

// ObjectForeignError means that an object that the environment should have exists and is somebody else's.
type ObjectForeignError struct {
	Namespace string
	Kind      string
	Name      string
	// Adoptable says that adopting the namespace would take the object over as well.
	Adoptable bool
}

// Explain implements the explanation that diagnostics print.
func (e *ObjectForeignError) Explain() (happened, observed, advice string) {
	advice = "Slipway needs this name for its own and does not overwrite what others wrote: remove the object, or give it another name."
	if e.Adoptable {
		advice = "Choose another name, remove the object, or allow to take it over with namespace = { adopt = true }."
	}
	return fmt.Sprintf("%s %q in namespace %q was made by somebody else.", e.Kind, e.Name, e.Namespace),
		fmt.Sprintf("It does not carry the label %s=%s.", labelPartOf, partEnvironment),
		advice
}

func (e *ObjectForeignError) Error() string { return explain.Text(e.Explain()) }

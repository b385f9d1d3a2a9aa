// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// errAnotherOwner says that a namespace has another owner now than the resource in this state. want is the id in state, got the one on the
// namespace.
func errAnotherOwner(namespace, want, got string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Namespace %q has another owner now.", namespace),
		Observed: fmt.Sprintf("Its annotation %s is %s, and this state has %s: another Terraform state has taken it over, or this state is "+
			"an old copy. Nothing was changed.", environment.AnnotationInstance, got, want),
		Advice: "Remove it from the state that should not manage it (a removed block with destroy = false, or terraform state rm). If this " +
			"state is to manage it, import it again after that.",
	}
}

// errTwice says that two resources of this run have one namespace.
func errTwice(namespace string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Two resources of this configuration have the namespace %q.", namespace),
		Observed: "Another resource of this run of Terraform has just created it. Nothing was changed.",
		Advice:   "Give one of them another namespace, or remove one of them.",
	}
}

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

// errNotEmpty says that a namespace still has inhabitants and is therefore not deleted.
func errNotEmpty(namespace string, remaining []string) error {
	const most = 20
	shown, more := remaining, ""
	if len(shown) > most {
		more = fmt.Sprintf("\nand %d more", len(shown)-most)
		shown = shown[:most]
	}
	return &explain.Error{
		Happened: fmt.Sprintf("Namespace %q is not empty.", namespace),
		Observed: "These are left in it:\n" + strings.Join(shown, "\n") + more,
		Advice: "Destroy the releases first; terraform destroy does so by itself for those in this state. Remove what others put there by " +
			"hand, after its data is saved.",
	}
}

// ObjectForeignError means that an object that the environment should have exists and belongs to another owner.
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
	return fmt.Sprintf("%s %q in namespace %q was made by another user or program.", e.Kind, e.Name, e.Namespace),
		fmt.Sprintf("It does not carry the label %s=%s.", labelPartOf, partEnvironment),
		advice
}

func (e *ObjectForeignError) Error() string { return explain.Text(e.Explain()) }

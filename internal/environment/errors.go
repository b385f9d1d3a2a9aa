// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package environment

import (
	"fmt"
	"strings"
)

// WorkspaceError means that the Terraform workspace belongs to another client or stage than what it is about to touch.
type WorkspaceError struct {
	Workspace string
	Client    string
	Stage     string
}

// Explain implements the explanation that diagnostics print.
func (e *WorkspaceError) Explain() (happened, observed, advice string) {
	want := e.Client + "-" + e.Stage
	return fmt.Sprintf("The Terraform workspace %q must not touch client %q, stage %q.", e.Workspace, e.Client, e.Stage),
		fmt.Sprintf("Client %q and stage %q belong to the workspace %q.", e.Client, e.Stage, want),
		fmt.Sprintf("Choose the workspace (terraform workspace select %s), or the var-file that belongs to %q.", want, e.Workspace)
}

func (e *WorkspaceError) Error() string { return oneLine(e.Explain()) }

// NamespaceMissingError means that the environment's namespace does not exist.
type NamespaceMissingError struct {
	Namespace string
	Context   string
}

// Explain implements the explanation that diagnostics print.
func (e *NamespaceMissingError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Namespace %q does not exist.", e.Namespace),
		fmt.Sprintf("The cluster of context %q answers, and has no such namespace.", e.Context),
		"Apply the slipway_environment that makes it first. Pass the resource itself (environment = slipway_environment.this), so " +
			"that Terraform knows the order."
}

func (e *NamespaceMissingError) Error() string { return oneLine(e.Explain()) }

// NamespaceForeignError means that a namespace is not the environment's: its labels name another client or stage, or none.
type NamespaceForeignError struct {
	Namespace string
	// Client and Stage are who asked, OwnerClient and OwnerStage what the labels say; both empty where there are none.
	Client      string
	Stage       string
	OwnerClient string
	OwnerStage  string
}

// Explain implements the explanation that diagnostics print.
func (e *NamespaceForeignError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("Namespace %q does not belong to client %q, stage %q.", e.Namespace, e.Client, e.Stage)
	if e.OwnerClient == "" && e.OwnerStage == "" {
		return happened, fmt.Sprintf("The namespace exists, without the labels %s and %s: somebody else made it.", LabelClient, LabelStage),
			"Choose another namespace name, or take this one over on purpose with namespace = { name = \"" + e.Namespace + "\", adopt = true }. " +
				"An adopted namespace is never deleted."
	}
	return happened, fmt.Sprintf("Its labels say that it belongs to client %q, stage %q.", e.OwnerClient, e.OwnerStage),
		fmt.Sprintf("Choose another namespace name. A namespace of another client is never taken over. If it is the labels that are wrong: "+
			"kubectl label --overwrite namespace %s %s=%s %s=%s", e.Namespace, LabelClient, e.Client, LabelStage, e.Stage)
}

func (e *NamespaceForeignError) Error() string { return oneLine(e.Explain()) }

// NamespaceTerminatingError means that a namespace is being deleted.
type NamespaceTerminatingError struct {
	Namespace string
	// Remaining says in words what keeps it from going.
	Remaining []string
	// Cause is why the waiting ended.
	Cause error
}

// Explain implements the explanation that diagnostics print.
func (e *NamespaceTerminatingError) Explain() (happened, observed, advice string) {
	observed = "The cluster does not say what it is waiting for."
	if len(e.Remaining) > 0 {
		observed = strings.Join(e.Remaining, "\n")
	}
	return fmt.Sprintf("Namespace %q is being deleted.", e.Namespace), observed,
		"Wait until it is gone and apply again. Objects with finalizers stay until the controller that set the finalizer has done its work; " +
			"if that controller is gone, remove the finalizer by hand."
}

func (e *NamespaceTerminatingError) Error() string { return oneLine(e.Explain()) }
func (e *NamespaceTerminatingError) Unwrap() error { return e.Cause }

func oneLine(happened, observed, advice string) string {
	return strings.Join([]string{happened, observed, advice}, " ")
}

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
		fmt.Sprintf("Its annotation %s is %s; this state has %s. Another state took the environment over, or this state is an old copy.", AnnotationInstance, e.Got, e.Want),
		"Use the state that manages it. If this is the one, forget the resource (terraform state rm) and import it again."
}

func (e *InstanceError) Error() string { return oneLine(e.Explain()) }

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

func (e *ProtectedError) Error() string { return oneLine(e.Explain()) }

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
		"Destroy the releases first; terraform destroy does so by itself for those in this state. Remove what others put there by hand, after its data is saved."
}

func (e *RemainingError) Error() string { return oneLine(e.Explain()) }

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

func (e *ObjectForeignError) Error() string { return oneLine(e.Explain()) }

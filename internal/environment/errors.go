// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package environment

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
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

func (e *WorkspaceError) Error() string { return explain.Text(e.Explain()) }

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

func (e *NamespaceMissingError) Error() string { return explain.Text(e.Explain()) }

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
		return happened, fmt.Sprintf("The namespace exists, without the labels %s and %s: another user or program made it.",
				LabelClient, LabelStage),
			"Choose another namespace name, or take this one over on purpose with namespace = { name = \"" + e.Namespace + "\", adopt = true }. " +
				"An adopted namespace is never deleted."
	}
	return happened, fmt.Sprintf("Its labels say that it belongs to client %q, stage %q.", e.OwnerClient, e.OwnerStage),
		fmt.Sprintf("Choose another namespace name. A namespace of another client is never taken over. If it is the labels that are wrong: "+
			"kubectl label --overwrite namespace %s %s=%s %s=%s", e.Namespace, LabelClient, e.Client, LabelStage, e.Stage)
}

func (e *NamespaceForeignError) Error() string { return explain.Text(e.Explain()) }

// NamespaceUnclaimedError means that the labels of a namespace do not say whose it is, so that nothing can be imported from it.
type NamespaceUnclaimedError struct {
	Namespace string
	// Client and Stage are what its labels say; one of them is empty, or both are.
	Client string
	Stage  string
}

// Explain implements the explanation that diagnostics print.
func (e *NamespaceUnclaimedError) Explain() (happened, observed, advice string) {
	if SystemNamespace(e.Namespace) {
		return fmt.Sprintf("Namespace %q cannot belong to an environment.", e.Namespace),
			"Kubernetes reserves names that begin with kube- for its own namespaces.", "Name the namespace of the environment."
	}
	happened = fmt.Sprintf("Namespace %q does not belong to an environment yet.", e.Namespace)
	switch {
	case e.Client != "":
		observed = fmt.Sprintf("Its label %s is %q, and it has no label %s.", LabelClient, e.Client, LabelStage)
	case e.Stage != "":
		observed = fmt.Sprintf("Its label %s is %q, and it has no label %s.", LabelStage, e.Stage, LabelClient)
	default:
		observed = fmt.Sprintf("It has no labels %s and %s. An import takes client and stage from them.", LabelClient, LabelStage)
	}
	return happened, observed, "Adopt it: a slipway_environment with namespace = { name = \"" + e.Namespace + "\", adopt = true } needs no " +
		"import. What runs in the namespace is imported by import blocks in the same plan, if their resources have environment = the " +
		"slipway_environment. The command terraform import does not read them: apply the environment before it."
}

func (e *NamespaceUnclaimedError) Error() string { return explain.Text(e.Explain()) }

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

func (e *NamespaceTerminatingError) Error() string { return explain.Text(e.Explain()) }
func (e *NamespaceTerminatingError) Unwrap() error { return e.Cause }

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Callers distinguish the errors of this package by type (errors.As). Each explains itself in three parts: what happened, what was
// observed, and what to do. Error joins the parts; Explain keeps them apart, for diagnostics.

// NoCoordinateError means that a coordinate names no cluster, or two at once.
type NoCoordinateError struct {
	// Both is set when context and eks are given together.
	Both bool
}

// Explain implements explain.Explainer.
func (e *NoCoordinateError) Explain() (happened, observed, advice string) {
	if e.Both {
		return "The cluster is named in two ways.", "Both cluster.context and cluster.eks are set.",
			"Keep one of them: cluster = { context = \"<name>\" } or cluster = { eks = { … } }."
	}
	return "No cluster is named.", "Neither cluster.context nor cluster.eks is set, or its value is empty.",
		"Set cluster = { context = \"<name>\" }. There is no default context, so that nothing is ever done in a cluster that " +
			"nobody named. Terraform drops misspelled keys of an object silently: look for a typing error, too."
}

func (e *NoCoordinateError) Error() string { return explain.Text(e.Explain()) }

// UnsupportedError means that a form of coordinate exists in the schema and is not connected yet.
type UnsupportedError struct {
	// What is the form, for example "cluster.eks".
	What string
}

// Explain implements explain.Explainer.
func (e *UnsupportedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("%s is not supported yet.", e.What), "This version connects through a kubeconfig context or a provider " +
			"connection only.",
		"Use cluster = { context = \"<name>\" } with a context made by `aws eks update-kubeconfig`, or a connection under clusters in " +
			"the provider " +
			"configuration. Connecting to EKS without kubeconfig comes in a later version."
}

func (e *UnsupportedError) Error() string { return explain.Text(e.Explain()) }

// UnknownContextError means that a context is neither a configured connection nor in a kubeconfig that was read.
type UnknownContextError struct {
	Context string
	// Files were read, Missing do not exist, Contexts are what was found in Files.
	Files    []string
	Missing  []string
	Contexts []string
	// Connections are the names under clusters in the provider configuration.
	Connections []string
}

// Explain implements explain.Explainer.
func (e *UnknownContextError) Explain() (happened, observed, advice string) {
	var seen []string
	switch {
	case len(e.Files) == 0:
		seen = append(seen, "No kubeconfig was read.")
	case len(e.Contexts) == 0:
		seen = append(seen, fmt.Sprintf("%s has no contexts.", strings.Join(e.Files, ", ")))
	default:
		seen = append(seen, fmt.Sprintf("%s has the contexts %s.", strings.Join(e.Files, ", "), quoted(e.Contexts)))
	}
	if len(e.Missing) > 0 {
		seen = append(seen, fmt.Sprintf("Missing: %s.", strings.Join(e.Missing, ", ")))
	}
	if len(e.Connections) > 0 {
		seen = append(seen, fmt.Sprintf("The provider configuration has the connections %s.", quoted(e.Connections)))
	}
	return fmt.Sprintf("There is no cluster context %q.", e.Context), strings.Join(seen, " "),
		"Correct cluster.context, or make the context known: config_paths in the provider configuration, the KUBECONFIG " +
			"variable, or an entry under clusters."
}

func (e *UnknownContextError) Error() string { return explain.Text(e.Explain()) }

// UnknownConnectionError means that a connection of the provider configuration has values that are not known yet.
type UnknownConnectionError struct {
	Name string
}

// Explain implements explain.Explainer.
func (e *UnknownConnectionError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The connection %q is not known yet.", e.Name),
		"Values of this entry under clusters in the provider configuration come from resources that do not exist yet.",
		"Nothing needs to be done if the same apply creates the cluster. Otherwise apply the resources first that the values come from."
}

func (e *UnknownConnectionError) Error() string { return explain.Text(e.Explain()) }

// KubeconfigError means that a kubeconfig or a connection is not valid.
type KubeconfigError struct {
	// Context is the requested context or connection. File is the kubeconfig that defines it, if any.
	Context string
	File    string
	Cause   error
}

// Explain implements explain.Explainer.
func (e *KubeconfigError) Explain() (happened, observed, advice string) {
	where := fmt.Sprintf("the connection %q", e.Context)
	if e.File != "" {
		where = "the kubeconfig " + e.File
	}
	return fmt.Sprintf("The context %q cannot be used.", e.Context), fmt.Sprintf("In %s: %v.", where, e.Cause),
		fmt.Sprintf("Correct %s.", where)
}

func (e *KubeconfigError) Error() string { return explain.Text(e.Explain()) }
func (e *KubeconfigError) Unwrap() error { return e.Cause }

// UnreachableError means that the API server gave no usable answer: no connection, no TLS session, no answer in time, or
// the answer of an overloaded server or of a proxy in front of it.
type UnreachableError struct {
	// Host is the address of the API server, if known.
	Host  string
	Cause error
}

// Explain implements explain.Explainer.
func (e *UnreachableError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The API server%s cannot be reached.", at(e.Host)), fmt.Sprintf("%v.", e.Cause),
		"Check the address, the network (VPN, proxy, security group) and the certificate authority. If the cluster no longer " +
			"exists, remove its resources from the state with a removed { lifecycle { destroy = false } } block."
}

func (e *UnreachableError) Error() string { return explain.Text(e.Explain()) }
func (e *UnreachableError) Unwrap() error { return e.Cause }

// UnauthorizedError means that the credentials are expired or wrong, or that a credential plugin failed.
type UnauthorizedError struct {
	Host  string
	Cause error
}

// Explain implements explain.Explainer.
func (e *UnauthorizedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The API server%s does not accept the credentials.", at(e.Host)), fmt.Sprintf("%v.", e.Cause),
		"Renew the credentials of this context (log in again, or look at its token, client certificate or credential plugin)."
}

func (e *UnauthorizedError) Error() string { return explain.Text(e.Explain()) }
func (e *UnauthorizedError) Unwrap() error { return e.Cause }

// ForbiddenError means that the credentials are accepted but lack a permission. Fields are empty where the server does not name them.
type ForbiddenError struct {
	Verb      string
	Resource  string // plural, with group: "deployments.apps"
	Namespace string
	User      string
	Cause     error
}

// Explain implements explain.Explainer.
func (e *ForbiddenError) Explain() (happened, observed, advice string) {
	happened = "A permission is missing in the cluster."
	if e.Verb != "" && e.Resource != "" {
		where := " in the whole cluster"
		if e.Namespace != "" {
			where = fmt.Sprintf(" in namespace %q", e.Namespace)
		}
		happened = fmt.Sprintf("User %q may not %s %s%s.", e.User, e.Verb, e.Resource, where)
	}
	return happened, fmt.Sprintf("%v.", e.Cause),
		"Grant the permission. The ClusterRole slipway-deployer (examples/rbac) has all permissions of an apply, slipway-planner those of a plan."
}

func (e *ForbiddenError) Error() string { return explain.Text(e.Explain()) }
func (e *ForbiddenError) Unwrap() error { return e.Cause }

// MismatchError means that the context now leads to another cluster than the recorded one.
type MismatchError struct {
	Context string
	// Want is the recorded UID of namespace kube-system, Got the one of the cluster that answers.
	Want string
	Got  string
}

// Explain implements explain.Explainer.
func (e *MismatchError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The context %q leads to another cluster than the one that this was created in.", e.Context),
		fmt.Sprintf("The recorded cluster is %s (UID of namespace kube-system); the cluster that answers now is %s.", e.Want, e.Got),
		fmt.Sprintf("Point the context at the right cluster. If the client really moves, set allow_cluster_move = %q on the "+
			"environment and on its resources (releases, migrations, databases, canaries, blue-green switches): objects in the old "+
			"cluster are then removed from the state, not destroyed.", e.Got)
}

func (e *MismatchError) Error() string { return explain.Text(e.Explain()) }

// HeldError means that another Terraform run held the Lease of the namespace until the time to wait ended.
type HeldError struct {
	Namespace string
	// Holder is the holder's identity, as written into the Lease.
	Holder string
	Cause  error
}

// Explain implements explain.Explainer.
func (e *HeldError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Another run is changing namespace %q.", e.Namespace),
		fmt.Sprintf("The Lease %q is held by %s, and was still renewed when the time to wait ended (%v).", LeaseName, e.Holder, e.Cause),
		"Wait until the other run has finished, then apply again. The Lease of a run that died is taken over automatically after 30 seconds."
}

func (e *HeldError) Error() string { return explain.Text(e.Explain()) }
func (e *HeldError) Unwrap() error { return e.Cause }

// LostError means that the Lease of a namespace was lost or could not be renewed.
type LostError struct {
	Namespace string
	// Holder is the new holder where the Lease was taken over.
	Holder string
	Cause  error
}

// Explain implements explain.Explainer.
func (e *LostError) Explain() (happened, observed, advice string) {
	observed = fmt.Sprintf("The Lease %q could not be renewed in time: %v.", LeaseName, e.Cause)
	if e.Holder != "" {
		observed = fmt.Sprintf("The Lease %q is now held by %s.", LeaseName, e.Holder)
	}
	return fmt.Sprintf("The Lease of namespace %q was lost.", e.Namespace), observed,
		"No further changes were made. Apply again when the cluster answers and no other run is in progress."
}

func (e *LostError) Error() string { return explain.Text(e.Explain()) }
func (e *LostError) Unwrap() error { return e.Cause }

// GateError means that a mutating request was not sent, because the operation was interrupted or its Lease lost.
type GateError struct {
	Method string
	Path   string
	Cause  error
}

func (e *GateError) Error() string {
	return fmt.Sprintf("%s %s was not sent: %v", e.Method, e.Path, e.Cause)
}
func (e *GateError) Unwrap() error { return e.Cause }

func at(host string) string {
	if host == "" {
		return ""
	}
	return " at " + host
}

func quoted(names []string) string {
	const most = 12
	shown := make([]string, 0, most)
	for i, name := range names {
		if i == most {
			shown = append(shown, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		shown = append(shown, fmt.Sprintf("%q", name))
	}
	return strings.Join(shown, ", ")
}

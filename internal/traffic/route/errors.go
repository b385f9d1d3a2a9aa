// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// KindMissingError says that the cluster does not serve a kind of object that a router needs.
type KindMissingError struct {
	// Kind is for example "VirtualService", Group its API group, Versions what we could have used.
	Kind, Group string
	Versions    []string
	// Routed is "Istio" or "the Gateway API".
	Routed string
}

// Explain returns the three parts of the error.
func (e *KindMissingError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The cluster has no %s.", e.Kind),
		fmt.Sprintf("It serves none of %s in %s.", e.Kind, groupVersions(e.Group, e.Versions)),
		fmt.Sprintf("Install %s (its CustomResourceDefinitions) in this cluster first, or choose another router. Nothing was changed.", e.Routed)
}

func groupVersions(group string, versions []string) string {
	all := make([]string, 0, len(versions))
	for _, version := range versions {
		all = append(all, group+"/"+version)
	}
	return strings.Join(all, ", ")
}

func (e *KindMissingError) Error() string { return explain.Text(e.Explain()) }

// ForeignError says that an object or a route that would have to be ours belongs to another owner.
type ForeignError struct {
	// Object is for example "VirtualService data-collection".
	Object string
	// Whose says who has it, as far as it is known: "client client-b, stage prod"; empty where it has no annotation of Slipway.
	Whose string
}

// Explain returns the three parts of the error.
func (e *ForeignError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("%s belongs to another owner.", explain.Capitalize(e.Object))
	if e.Whose != "" {
		return happened, fmt.Sprintf("Its annotation says that it is managed for %s.", e.Whose),
			"Use another name. What is managed for another environment or another split is never taken over."
	}
	return happened, fmt.Sprintf("It exists, and does not carry the labels of this split (%s, %s).", environment.LabelClient,
			environment.LabelStage),
		"Use another name, remove it, or name the route in it that should be divided: then only this route is changed, and the rest " +
			"stays as it is."
}

func (e *ForeignError) Error() string { return explain.Text(e.Explain()) }

// errAnotherInstance says that a route is managed by another resource than the one in this state. got is the id on the route, want
// the one in the state.
func errAnotherInstance(object, want, got string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("%s is managed by another Terraform state.", explain.Capitalize(object)),
		Observed: fmt.Sprintf("Its annotation has the id %s; this state has %s. Another state took it over, or this state is an old copy.", got,
			want),
		Advice: "Use the state that manages it. If this is the one, forget the resource (terraform state rm) and import it again.",
	}
}

// MissingError says that a shared object, or the route in it, does not exist.
type MissingError struct {
	// Object is the object; Route is the name that was looked for in it, empty where the object itself is missing.
	Object, Route string
	// Names are those of the routes in it, Unnamed how many have none.
	Names   []string
	Unnamed int
}

// Explain returns the three parts of the error.
func (e *MissingError) Explain() (happened, observed, advice string) {
	if e.Route == "" {
		return fmt.Sprintf("%s does not exist.", explain.Capitalize(e.Object)), "The route that should be divided is in it, and " +
				"another owner creates it.",
			"Deploy what makes it first, or leave the route out: then Slipway makes an object of its own."
	}
	happened = fmt.Sprintf("%s has no route %s.", explain.Capitalize(e.Object), e.Route)
	observed = "It has no named routes."
	if len(e.Names) > 0 {
		observed = fmt.Sprintf("Its named routes are %s.", strings.Join(e.Names, ", "))
	}
	if e.Unnamed > 0 {
		observed += fmt.Sprintf(" %d have no name.", e.Unnamed)
	}
	return happened, observed, "Correct the name, or give the route this name where it is defined: a route without a name cannot " +
		"be distinguished from another route without a name."
}

func (e *MissingError) Error() string { return explain.Text(e.Explain()) }

// AmbiguousError says that a route cannot be distinguished from others.
type AmbiguousError struct {
	Object, Route string
	// Reason is a sentence.
	Reason string
}

// Explain returns the three parts of the error.
func (e *AmbiguousError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("It is not clear which route of %s is %s.", e.Object, e.Route), e.Reason,
		"Give the routes names of which each is there once. Nothing was changed."
}

func (e *AmbiguousError) Error() string { return explain.Text(e.Explain()) }

// ShapeError says that a route is not one that can be divided.
type ShapeError struct {
	// Object is for example "route primary of VirtualService data-collection".
	Object string
	// Reason is a sentence.
	Reason string
}

// Explain returns the three parts of the error.
func (e *ShapeError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("%s cannot be divided between two tracks.", explain.Capitalize(e.Object)), e.Reason,
		"Name a route that sends all its requests to the host of this split, or make it one. Nothing was changed."
}

func (e *ShapeError) Error() string { return explain.Text(e.Explain()) }

// HeaderClashError says that a header match cannot be added to a match block of the route.
type HeaderClashError struct {
	Object, Header string
	// Reason is a sentence.
	Reason string
}

// Explain returns the three parts of the error.
func (e *HeaderClashError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Header %s cannot choose the canary on %s.", e.Header, e.Object), e.Reason,
		"Use another header, or change the match of the route. Nothing was changed."
}

func (e *HeaderClashError) Error() string { return explain.Text(e.Explain()) }

// SubsetError says that a subset with the name of a track means other pods.
type SubsetError struct {
	Subset, Host string
	// Object is where it is defined: "DestinationRule data-collection".
	Object string
	// Labels are those of the subset there, Want what the track has.
	Labels, Want string
}

// Explain returns the three parts of the error.
func (e *SubsetError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Subset %s of host %s belongs to another owner.", e.Subset, e.Host),
		fmt.Sprintf("%s defines it with the labels %s; this split needs %s. Where a subset is defined twice, Istio silently "+
			"takes one of them.", e.Object, e.Labels, e.Want),
		"Give the track another subset name, or the labels of the subset that is there."
}

func (e *SubsetError) Error() string { return explain.Text(e.Explain()) }

// ConflictError says that another user or program changed an object between our read and our write. Nothing was written.
type ConflictError struct {
	Object string
	Cause  error
}

// Explain returns the three parts of the error.
func (e *ConflictError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Another user or program changed %s during this operation.", e.Object),
		"It is not any more what was read before. What others wrote was left as it is.",
		"Apply again: it is read again, and what is to be done is decided again."
}

func (e *ConflictError) Error() string { return explain.Text(e.Explain()) }
func (e *ConflictError) Unwrap() error { return e.Cause }

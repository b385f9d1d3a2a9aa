// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package route divides the requests to one host between two tracks of pods, in an Istio VirtualService or a Gateway API HTTPRoute.
package route

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Split is how the traffic to a host is divided between the stable track and the canary. The zero value sends all to stable.
type Split struct {
	// Weight is the percentage that goes to the canary, 0 to 100.
	Weight int
	// Headers are matches of which each alone sends a request to the canary, whatever Weight is.
	Headers []HeaderMatch
}

// HeaderMatch is a header with exactly this value. Name is in lower case.
type HeaderMatch struct {
	Name, Value string
}

// Equal reports that both divide traffic the same way. The order of the headers does not matter.
func (s Split) Equal(other Split) bool {
	return s.Weight == other.Weight && sameHeaders(s.Headers, other.Headers)
}

// Raises reports that a split sends requests to the canary that another one does not.
func (s Split) Raises(before Split) bool {
	return s.Weight > before.Weight || slices.ContainsFunc(s.Headers, func(h HeaderMatch) bool { return !slices.Contains(before.Headers, h) })
}

// SameAsText reports that both are the same where a header has one text, as in a state: several values of one header are joined there.
func (s Split) SameAsText(other Split) bool {
	return s.Weight == other.Weight && maps.Equal(s.valuesOfHeaders(), other.valuesOfHeaders())
}

// valuesOfHeaders are the headers by name, several values of one joined with "or".
func (s Split) valuesOfHeaders() map[string]string {
	out := map[string]string{}
	for _, h := range sortedHeaders(s.Headers) {
		if before, ok := out[h.Name]; ok {
			out[h.Name] = before + " or " + h.Value
		} else {
			out[h.Name] = h.Value
		}
	}
	return out
}

// String says it in words, as a clause without a capital and without a period.
func (s Split) String() string {
	out := fmt.Sprintf("%d%% of the requests go to the canary", s.Weight)
	var headers []string
	for _, h := range sortedHeaders(s.Headers) {
		headers = append(headers, h.Name+": "+h.Value)
	}
	if len(headers) > 0 {
		out += ", and those with " + strings.Join(headers, " or ")
	}
	return out
}

// Observed is a route as it is live.
type Observed struct {
	// Exists says that the route is there. An own route is there once Set has made it; a route in a shared object has another owner.
	Exists bool
	// Managed says that the route has the annotation of this split: Set was called, and Restore was not. An unmanaged route may be
	// divided all the same, by hand: its Split can be imported.
	Managed bool
	// InstanceID is that of the annotation, empty where there is none.
	InstanceID string
	// Split is what the route does now, zero where it does not exist or where it sends to neither track by name. Weights that
	// add up to another sum than 100 are given as percentages of their sum.
	Split Split
	// Drift says in words what others changed in what is ours; empty where it is as Set left it. Weights and headers are not
	// among it: these are Split.
	Drift []string
	// Version names exactly this content of the objects that were read. It is the same as long as nothing that matters changed.
	Version string
}

// Router reads and moves the traffic of one route. It remembers what it has read: Set changes nothing when the route has been changed
// meanwhile, and fails with *ConflictError; Read again, and decide again. What others did to other routes of a shared object, and
// statuses that a mesh writes, are no conflict. Not safe for concurrent use.
//
// Errors of all methods, all with Explain: *KindMissingError (CRDs are not installed), *ForeignError,
// *MissingError, *AmbiguousError, *ShapeError, *SubsetError, *HeaderClashError, *ConflictError,
// *environment.NamespaceForeignError and its siblings, others as from cluster.Classify.
type Router interface {
	// Read looks at the route and remembers it. It is no error that an own route does not exist yet.
	Read(ctx context.Context) (Observed, error)
	// Prepare makes what the split refers to, before any request is sent there, and waits until those who send know of it. written says that
	// it did: pods may have come and gone meanwhile. Where all is there, it asks nothing.
	Prepare(ctx context.Context, split Split) (written bool, err error)
	// Set divides the traffic. It makes what is missing, in the order in which no request can fail: subsets before what refers to
	// them. Where the route divides traffic this way already, nothing is written.
	Set(ctx context.Context, split Split) error
	// Restore undoes what Set did: an own route goes, a shared one gets its destination from before the first Set. Then goes
	// what nothing refers to any more. A route that is gone, or has no annotation of Slipway, is no error.
	Restore(ctx context.Context) error
	// Object names the route in messages, for example "route primary of VirtualService data-collection".
	Object() string
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// role is what a destination of a route is for a split.
type role int

const (
	// toOther is a destination that the split does not know.
	toOther role = iota
	// toWhole is the host with the pods of both tracks, as a route has it before it is divided.
	toWhole
	toStable
	toCanary
)

// dialect is what VirtualServices and HTTPRoutes do differently. Routes, match blocks and destinations are JSON as in an
// unstructured object; no method changes its arguments.
type dialect interface {
	// list, destinations and matches are the names of fields: the routes in the spec, and what a route has of both.
	list() string
	destinations() string
	matches() string
	// word is what one entry of the list is called.
	word() string
	// unfit says in a sentence why a route cannot be divided, empty where it can.
	unfit(route map[string]any) string
	role(destination map[string]any) role
	// weight is that of one destination among count.
	weight(destination map[string]any, count int) int64
	// destination is a copy of template that leads to a track. A weight below zero leaves it out.
	destination(template map[string]any, to role, weight int64) map[string]any
	// unlimited is a match block that every request matches.
	unlimited() map[string]any
	// withHeader is a copy of a match block that also demands the header; false where no request can match both.
	withHeader(block map[string]any, header HeaderMatch) (map[string]any, bool, error)
	// headersOf are the exact header matches of a block.
	headersOf(block map[string]any) []HeaderMatch
	// mostBlocks is how many match blocks one route can have, zero for any number.
	mostBlocks() int
}

// sortedHeaders is a copy in a fixed order, without repetitions.
func sortedHeaders(headers []HeaderMatch) []HeaderMatch {
	out := slices.Clone(headers)
	slices.SortFunc(out, func(a, b HeaderMatch) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(out)
}

func sameHeaders(a, b []HeaderMatch) bool {
	return slices.Equal(sortedHeaders(a), sortedHeaders(b))
}

// objectsIn are the entries of a JSON list that are objects.
func objectsIn(list any) []map[string]any {
	entries, _ := list.([]any)
	out := make([]map[string]any, 0, len(entries))
	for _, entry := range entries {
		if object, ok := entry.(map[string]any); ok {
			out = append(out, object)
		}
	}
	return out
}

// canDivide refuses a route that does something else than to send requests to the host or to its tracks.
func canDivide(d dialect, object string, route map[string]any) error {
	if reason := d.unfit(route); reason != "" {
		return &ShapeError{Object: object, Reason: reason}
	}
	destinations := objectsIn(route[d.destinations()])
	if len(destinations) == 0 {
		return &ShapeError{Object: object, Reason: "It has no destination."}
	}
	for _, destination := range destinations {
		switch d.role(destination) {
		case toStable, toCanary:
		case toWhole:
			if len(destinations) > 1 {
				return &ShapeError{
					Object: object,
					Reason: "It divides its requests already, between destinations of which not all are tracks of this split.",
				}
			}
		default:
			return &ShapeError{Object: object, Reason: "It sends requests to a destination that is not the host of this split."}
		}
	}
	return nil
}

// original are the destinations to restore when a route is not divided any more: what it has before the first Set. Where it leads to
// the canary then already, that part is left out, since the canary's pods are what goes.
func original(d dialect, route map[string]any) []any {
	destinations := objectsIn(route[d.destinations()])
	for _, destination := range destinations {
		switch d.role(destination) {
		case toCanary:
			return undivided(d, route)
		case toStable:
			if len(destinations) > 1 {
				return undivided(d, route)
			}
		}
	}
	return runtime.DeepCopyJSONValue(list(destinations)).([]any) //nolint:forcetypeassert // a copy has the type of what was copied
}

// undivided are destinations that lead to the stable track alone.
func undivided(d dialect, route map[string]any) []any {
	forStable, _ := templates(d, route)
	return []any{d.destination(forStable, toStable, -1)}
}

// divided reports that the destinations of a route are tracks, all of them.
func divided(d dialect, route map[string]any) bool {
	destinations := objectsIn(route[d.destinations()])
	for _, destination := range destinations {
		if r := d.role(destination); r != toStable && r != toCanary {
			return false
		}
	}
	return len(destinations) > 0
}

func list(entries []map[string]any) []any {
	out := make([]any, 0, len(entries))
	for _, entry := range entries {
		out = append(out, entry)
	}
	return out
}

// templates are the destinations from which those of the tracks are made, so that ports, filters and the like stay.
func templates(d dialect, route map[string]any) (forStable, forCanary map[string]any) {
	for _, destination := range objectsIn(route[d.destinations()]) {
		switch d.role(destination) {
		case toCanary:
			forCanary = destination
		default:
			if forStable == nil {
				forStable = destination
			}
		}
	}
	if forStable == nil {
		forStable = forCanary
	}
	if forCanary == nil {
		forCanary = forStable
	}
	return forStable, forCanary
}

// divide are the destinations of a route under a split. A track without a share is left out.
func divide(d dialect, route map[string]any, weight int) []any {
	forStable, forCanary := templates(d, route)
	var out []any
	if weight < 100 {
		out = append(out, d.destination(forStable, toStable, int64(100-weight)))
	}
	if weight > 0 {
		out = append(out, d.destination(forCanary, toCanary, int64(weight)))
	}
	return out
}

// headerRoute sends to the canary what the base route matches and one of the headers is on; nil where there are no headers. All else
// is as in the base route.
func headerRoute(d dialect, object, name string, base map[string]any, headers []HeaderMatch) (map[string]any, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	blocks := objectsIn(base[d.matches()])
	if len(blocks) == 0 {
		blocks = []map[string]any{d.unlimited()}
	}
	var matches []any
	for _, header := range sortedHeaders(headers) {
		before := len(matches)
		for _, block := range blocks {
			with, possible, err := d.withHeader(block, header)
			if err != nil {
				return nil, &HeaderClashError{Object: object, Header: header.Name, Reason: err.Error()}
			}
			if possible {
				matches = append(matches, with)
			}
		}
		if len(matches) == before {
			// A route without any match block would take all requests.
			return nil, &HeaderClashError{Object: object, Header: header.Name, Reason: fmt.Sprintf(
				"No request with %s: %s can come to it: its own matches demand another value.", header.Name, header.Value)}
		}
	}
	if most := d.mostBlocks(); most > 0 && len(matches) > most {
		return nil, &HeaderClashError{Object: object, Header: headers[0].Name, Reason: fmt.Sprintf(
			"%d headers on %d match blocks make %d match blocks; a %s can have %d.", len(headers), len(blocks), len(matches), d.word(), most)}
	}
	route := runtime.DeepCopyJSON(base)
	_, forCanary := templates(d, base)
	if name != "" {
		route["name"] = name
	}
	route[d.matches()] = matches
	route[d.destinations()] = []any{d.destination(forCanary, toCanary, -1)}
	return route, nil
}

// weightOf is the canary's percentage of a route.
func weightOf(d dialect, route map[string]any) int {
	destinations := objectsIn(route[d.destinations()])
	var sum, forCanary int64
	for _, destination := range destinations {
		weight := d.weight(destination, len(destinations))
		sum += weight
		if d.role(destination) == toCanary {
			forCanary += weight
		}
	}
	if sum == 0 {
		return 0
	}
	return int(math.Round(float64(forCanary) * 100 / float64(sum)))
}

// headersIn are the headers for which the header route does all that it should.
func headersIn(d dialect, object string, base, header map[string]any) []HeaderMatch {
	live := objectsIn(header[d.matches()])
	var found []HeaderMatch
	for _, block := range live {
		for _, candidate := range d.headersOf(block) {
			if slices.Contains(found, candidate) {
				continue
			}
			want, err := headerRoute(d, object, "", base, []HeaderMatch{candidate})
			if err == nil && containsAll(live, objectsIn(want[d.matches()])) {
				found = append(found, candidate)
			}
		}
	}
	return sortedHeaders(found)
}

func containsAll(have, want []map[string]any) bool {
	for _, entry := range want {
		if !slices.ContainsFunc(have, func(other map[string]any) bool { return reflect.DeepEqual(entry, other) }) {
			return false
		}
	}
	return true
}

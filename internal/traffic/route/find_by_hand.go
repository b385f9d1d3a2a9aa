// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// findByHand finds the routes of a split that was divided without Slipway: the base route by what it was called in the import or,
// in an object that is to be ours, by what it does; the header route by what it does, since it can have any name. Errors:
// *AmbiguousError.
func findByHand(d dialect, routes []any, ref reference, shared bool, object string) (place, error) {
	found := place{base: -1, header: -1}
	var err error
	switch {
	case !shared:
		found.base, err = findDivided(d, routes, ref, object)
	case ref.name != "":
		var named place
		named, err = find(d, routes, reference{name: ref.name}, annotation{}, object)
		found.base = named.base
	default:
		found.base = findPlaceByHand(d, routes, *ref.index, object)
	}
	if err != nil || found.base < 0 {
		return found, err
	}
	if before := found.base - 1; before >= 0 && leadsHeadersFor(d, routes[before], routes[found.base], object) {
		found.header = before
	}
	for i, route := range routes {
		if ref.header != "" && nameOf(route) == ref.header && i != found.header {
			return place{}, &AmbiguousError{Object: object, Route: ref.header, Reason: fmt.Sprintf(
				"It has a %s of this name already, which does not do what the %s %s does for some headers; this split needs the name for its headers.",
				d.word(), d.word(), ref)}
		}
	}
	return found, nil
}

// findPlaceByHand counts without a header route, as it is counted once the header route is ours.
func findPlaceByHand(d dialect, routes []any, index int, object string) int {
	if at := index + 1; at < len(routes) && leadsHeadersFor(d, routes[index], routes[at], object) {
		return at
	}
	if index < len(routes) {
		return index
	}
	return -1
}

// findDivided finds the one route that is divided between the tracks; among several, the one that has the name of the split, else
// the one from which both have requests.
func findDivided(d dialect, routes []any, ref reference, object string) (int, error) {
	var candidates []int
	for i, route := range routes {
		entry, _ := route.(map[string]any)
		if entry == nil || !divided(d, entry) || d.unfit(entry) != "" {
			continue
		}
		if i+1 < len(routes) && leadsHeadersFor(d, route, routes[i+1], object) {
			continue
		}
		candidates = append(candidates, i)
	}
	for i, route := range routes {
		if nameOf(route) != ref.name {
			continue
		}
		if !slices.Contains(candidates, i) {
			return 0, &AmbiguousError{Object: object, Route: ref.name, Reason: fmt.Sprintf(
				"The %s of this name, the name of the split, is not the one that is divided.", d.word())}
		}
		candidates = slices.DeleteFunc(candidates, func(at int) bool { return nameOf(routes[at]) != ref.name })
		break
	}
	if len(candidates) > 1 {
		both := slices.DeleteFunc(slices.Clone(candidates), func(at int) bool {
			entry, _ := routes[at].(map[string]any)
			return len(objectsIn(entry[d.destinations()])) < 2
		})
		if len(both) > 0 {
			candidates = both
		}
	}
	switch len(candidates) {
	case 0:
		return -1, nil
	case 1:
		return candidates[0], nil
	}
	places := make([]string, 0, len(candidates))
	for _, at := range candidates {
		places = append(places, fmt.Sprint(at))
	}
	return 0, &AmbiguousError{Object: object, Route: ref.String(), Reason: fmt.Sprintf(
		"The %ss at places %s send requests to the tracks.", d.word(), strings.Join(places, " and "))}
}

// leadsHeadersFor reports that a route does what a header route of ours would do for the base route behind it, so that ours can replace
// its place: it sends to the canary what the base route matches, where a header has one value, and does nothing else.
func leadsHeadersFor(d dialect, route, base any, object string) bool {
	header, _ := route.(map[string]any)
	behind, _ := base.(map[string]any)
	destinations := objectsIn(header[d.destinations()])
	if header == nil || behind == nil || len(destinations) != 1 || d.role(destinations[0]) != toCanary || !divided(d, behind) {
		return false
	}
	headers := headersIn(d, object, behind, header)
	for i, h := range headers {
		if i > 0 && h.Name == headers[i-1].Name {
			return false // a configuration has one value for a header
		}
	}
	if len(headers) == 0 || len(ValidateHeaders("headers", headers)) > 0 {
		return false
	}
	want, err := headerRoute(d, object, "", behind, headers)
	if err != nil || !containsAll(objectsIn(want[d.matches()]), objectsIn(header[d.matches()])) {
		return false
	}
	plain := func(route map[string]any) map[string]any {
		return withoutField(withoutField(dropName(route), d.matches()), d.destinations())
	}
	// The name of the base route is copied with it.
	return reflect.DeepEqual(plain(want), plain(header)) &&
		reflect.DeepEqual(want[d.destinations()], []any{d.destination(destinations[0], toCanary, -1)})
}

// exactWeight reports that the percentages of a route are whole, so that writing them changes nothing.
func exactWeight(d dialect, route map[string]any) bool {
	destinations := objectsIn(route[d.destinations()])
	var sum, forCanary int64
	for _, destination := range destinations {
		weight := d.weight(destination, len(destinations))
		sum += weight
		if d.role(destination) == toCanary {
			forCanary += weight
		}
	}
	return sum == 0 || forCanary*100%sum == 0
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"slices"
)

// reference is how a route is found in a list.
type reference struct {
	// name of the base route; empty where index says it.
	name string
	// index is the place of a base route without a name, counted without the header route.
	index *int
	// header is the name of the header route.
	header string
}

// String names the route in messages.
func (r reference) String() string {
	if r.name != "" {
		return r.name
	}
	if r.index != nil {
		return fmt.Sprintf("number %d", *r.index)
	}
	return "without a name"
}

// place has the positions of our routes in a list, -1 where there is none.
type place struct{ base, header int }

// find looks for the base route and the header route. That the base route is not there is no error. Errors: *AmbiguousError.
func find(d dialect, routes []any, ref reference, m annotation, object string) (place, error) {
	header, err := findHeader(d, routes, ref, m, object)
	if err != nil {
		return place{}, err
	}
	found := place{base: -1, header: header}
	if ref.name != "" {
		for i, route := range routes {
			if i == header || nameOf(route) != ref.name {
				continue
			}
			if found.base >= 0 {
				return place{}, &AmbiguousError{Object: object, Route: ref.name, Reason: fmt.Sprintf(
					"Two of its %ss have this name: the ones at places %d and %d.", d.word(), found.base, i)}
			}
			found.base = i
		}
		if found.base >= 0 || ref.index == nil {
			return found, nil
		}
	}
	found.base, err = findByIndex(d, routes, ref, m, header, object)
	return found, err
}

func nameOf(route any) string {
	entry, _ := route.(map[string]any)
	name, _ := entry["name"].(string)
	return name
}

// findHeader finds the header route by its name, or by its content where names are not kept.
func findHeader(d dialect, routes []any, ref reference, m annotation, object string) (int, error) {
	found := -1
	for i, route := range routes {
		entry, _ := route.(map[string]any)
		byName := ref.header != "" && nameOf(route) == ref.header
		if !byName && (nameOf(route) != "" || m.Header == "" || digest(entry) != m.Header) {
			continue
		}
		if found >= 0 {
			return 0, &AmbiguousError{Object: object, Route: ref.header, Reason: fmt.Sprintf(
				"Two of its %ss have the name or the content of the one for the headers: the ones at places %d and %d.", d.word(), found, i)}
		}
		found = i
	}
	return found, nil
}

// findByIndex finds a rule that has no name. Once it is divided its content counts for more than its place, since others may put rules
// before it.
func findByIndex(d dialect, routes []any, ref reference, m annotation, header int, object string) (int, error) {
	var places []int
	for i := range routes {
		if i != header {
			places = append(places, i)
		}
	}
	at := -1
	if *ref.index < len(places) {
		at = places[*ref.index]
	}
	if m.Fixed == "" {
		return at, nil
	}
	same := slices.DeleteFunc(slices.Clone(places), func(i int) bool { return fixedDigest(d, routes[i]) != m.Fixed })
	switch {
	case slices.Contains(same, at):
		return at, nil
	case len(same) == 1:
		return same[0], nil
	case len(same) == 0 && at >= 0:
		if entry, ok := routes[at].(map[string]any); ok && divided(d, entry) {
			return at, nil
		}
	}
	return 0, &AmbiguousError{Object: object, Route: ref.String(), Reason: fmt.Sprintf(
		"The %s that was divided has no name, and the one at its position now is another one.", d.word())}
}

func fixedDigest(d dialect, route any) string {
	entry, _ := route.(map[string]any)
	return digest(withoutField(entry, d.destinations()))
}

// missing says which routes there are instead.
func missing(routes []any, ref reference, object string) error {
	out := &MissingError{Object: object, Route: ref.String()}
	for _, route := range routes {
		if name := nameOf(route); name != "" {
			out.Names = append(out.Names, name)
		} else {
			out.Unnamed++
		}
	}
	return out
}

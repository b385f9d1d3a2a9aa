// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// routing is one object with the place of our routes in it.
type routing struct {
	dialect dialect
	ref     reference
	// object names it in messages.
	object     string
	live       *unstructured.Unstructured
	place      place
	annotation annotation
	annotated  bool
	// adopting says that the object was imported and has no annotation yet.
	adopting bool
}

// route names the base route in messages.
func (r *routing) route() string {
	return fmt.Sprintf("%s %s of %s", r.dialect.word(), r.ref, r.object)
}

func routesOf(d dialect, object *unstructured.Unstructured) []any {
	spec, _ := object.Object["spec"].(map[string]any)
	routes, _ := spec[d.list()].([]any)
	return routes
}

func (r *routing) routes() []any { return routesOf(r.dialect, r.live) }

func (r *routing) base() map[string]any   { return r.entry(r.place.base) }
func (r *routing) header() map[string]any { return r.entry(r.place.header) }

func (r *routing) entry(at int) map[string]any {
	if at < 0 {
		return nil
	}
	entry, _ := r.routes()[at].(map[string]any)
	return entry
}

func entryPath(d dialect, at int) string { return "/spec/" + d.list() + "/" + strconv.Itoa(at) }

// split is how the routes divide traffic now, with what others changed in ours.
func (r *routing) split() (Split, []string) {
	base, header := r.base(), r.header()
	if base == nil {
		return Split{}, nil
	}
	var changed []string
	now := Split{Weight: weightOf(r.dialect, base)}
	if !divided(r.dialect, base) && r.annotated {
		changed = append(changed, fmt.Sprintf("the destinations of the %s are no longer those of the two tracks", r.dialect.word()))
	}
	if header == nil {
		return now, changed
	}
	now.Headers = headersIn(r.dialect, r.route(), base, header)
	want, err := headerRoute(r.dialect, r.route(), r.ref.header, base, now.Headers)
	switch {
	case err != nil || want == nil:
		changed = append(changed, fmt.Sprintf("the %s for the headers matches no headers that Slipway can identify", r.dialect.word()))
	case !reflect.DeepEqual(dropName(want), dropName(header)):
		changed = append(changed, fmt.Sprintf("the %s for the headers is not a copy of the %s itself", r.dialect.word(), r.dialect.word()))
	case r.place.header > r.place.base:
		changed = append(changed, fmt.Sprintf("the %s for the headers is not the first one", r.dialect.word()))
	}
	return now, changed
}

func dropName(route map[string]any) map[string]any { return withoutField(route, "name") }

// divideBy adds to a patch what makes the routes divide traffic by split, and returns the annotation that belongs to it.
func (r *routing) divideBy(p *patch, split Split, owner Owner, own bool) (annotation, error) {
	base := r.base()
	if base == nil {
		return annotation{}, missing(r.routes(), r.ref, r.object)
	}
	if err := canDivide(r.dialect, r.route(), base); err != nil {
		return annotation{}, err
	}
	m := annotation{
		Client: owner.Handle.Client, Stage: owner.Handle.Stage, Instance: owner.InstanceID, Route: nameOf(base),
		Before: r.annotation.Before, Subsets: r.annotation.Subsets,
	}
	if !own && (!r.annotated || m.Before == nil || !divided(r.dialect, base)) {
		// Also where its owner has written it anew meanwhile.
		m.Before = original(r.dialect, base)
	}
	if m.Route == "" {
		m.Fixed = fixedDigest(r.dialect, base)
	}
	header, err := headerRoute(r.dialect, r.route(), r.ref.header, base, split.Headers)
	if err != nil {
		return annotation{}, err
	}
	if header != nil {
		m.Header = digest(header)
	}
	destinations := divide(r.dialect, base, split.Weight)
	if !reflect.DeepEqual(destinations, base[r.dialect.destinations()]) {
		p.replace(entryPath(r.dialect, r.place.base)+"/"+r.dialect.destinations(), destinations)
	}
	r.putHeader(p, header)
	return m, nil
}

// putHeader puts the header route directly before the base route: the first match wins, and the routes of others before it keep theirs.
func (r *routing) putHeader(p *patch, header map[string]any) {
	at, base := r.place.header, r.place.base
	if at >= 0 && header != nil && at == base-1 {
		if !reflect.DeepEqual(header, r.header()) {
			p.replace(entryPath(r.dialect, at), header)
		}
		return
	}
	if at >= 0 {
		p.remove(entryPath(r.dialect, at))
		if at < base {
			base--
		}
	}
	if header != nil {
		p.add(entryPath(r.dialect, base), header)
	}
}

// headerIsOurs reports that what has the header route's name can be one that we wrote.
func (r *routing) headerIsOurs() bool {
	for _, destination := range objectsIn(r.header()[r.dialect.destinations()]) {
		if r.dialect.role(destination) != toCanary {
			return false
		}
	}
	return true
}

// undivide adds to a patch what removes our part from an object of another owner. The list of routes is never left empty.
func (r *routing) undivide(p *patch) {
	base := r.base()
	field := r.dialect.destinations()
	if base != nil && divided(r.dialect, base) {
		before := r.annotation.Before
		if len(before) == 0 {
			// The annotation is lost. Where the route came from is not known; away from the canary is what matters.
			before = undivided(r.dialect, base)
		}
		if !reflect.DeepEqual(before, base[field]) {
			p.replace(entryPath(r.dialect, r.place.base)+"/"+field, runtime.DeepCopyJSONValue(before))
		}
	}
	switch header := r.header(); {
	case header == nil:
	case len(r.routes()) > 1:
		p.remove(entryPath(r.dialect, r.place.header))
	default:
		// Others took the base route away. The last route stays, and leads where it did before.
		before := r.annotation.Before
		if len(before) == 0 {
			before = undivided(r.dialect, header)
		}
		p.replace(entryPath(r.dialect, r.place.header)+"/"+field, runtime.DeepCopyJSONValue(before))
	}
}

// hasOthers reports that there are routes in the object that are not ours.
func (r *routing) hasOthers() bool {
	ours := 0
	for _, at := range []int{r.place.base, r.place.header} {
		if at >= 0 {
			ours++
		}
	}
	return len(r.routes()) > ours
}

// tests are that our routes are still where they were found.
func (r *routing) tests() []operation {
	var out []operation
	for _, at := range []int{r.place.header, r.place.base} {
		if name := nameOf(r.entry(at)); name != "" {
			out = append(out, operation{Op: "test", Path: entryPath(r.dialect, at) + "/name", Value: name})
		}
	}
	return out
}

// takenOver says in words what the first Set after an import does.
func (r *routing) takenOver(shared bool) string {
	if shared {
		return fmt.Sprintf("the %s %s of %s is to be taken over, as it was imported", r.dialect.word(), r.ref, r.object)
	}
	return r.object + " is to be taken over, as it was imported"
}

// claim makes an object ours that another user or program made: its labels, and the name of the route that is divided.
func (r *routing) claim(p *patch, owner Owner) {
	labels := owner.Labels()
	if len(p.live.GetLabels()) == 0 {
		values := map[string]any{}
		for key, value := range labels {
			values[key] = value
		}
		p.add("/metadata/labels", values)
	} else {
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			p.add("/metadata/labels/"+escape(key), labels[key])
		}
	}
	if nameOf(r.base()) != r.ref.name {
		p.add(entryPath(r.dialect, r.place.base)+"/name", r.ref.name)
	}
}

func (r *routing) notDivided() error {
	return &ShapeError{Object: r.object, Reason: fmt.Sprintf(
		"It was imported, and none of its %d %ss sends its requests to the two tracks any more.", len(r.routes()),
		r.dialect.word())}
}

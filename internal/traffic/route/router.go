// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// router is what both routers have in common: it divides a route in one object.
type router struct {
	*objects
	owner   Owner
	kind    kind
	dialect dialect
	name    string
	ref     reference
	// shared says that the object belongs to another owner.
	shared bool
	// spec is what an own object has in addition to its routes, and plain the base route of one, undivided.
	spec  map[string]any
	plain map[string]any

	// read says that live is what was read last; it is nil where there is no object.
	read bool
	live *unstructured.Unstructured
	// checked says that the namespace was found to be the environment's in this operation.
	checked bool
}

func (r *router) object() string { return r.kind.name + " " + r.name }

// Object names the route in messages.
func (r *router) Object() string {
	return fmt.Sprintf("%s %s of %s", r.dialect.word(), r.ref, r.object())
}

// guard refuses a namespace that is not the environment's, once for each operation and before anything is written.
func (r *router) guard(ctx context.Context) error {
	if r.checked {
		return nil
	}
	if _, err := environment.Check(ctx, r.cluster, r.owner.Handle); err != nil {
		return err
	}
	r.checked = true
	return nil
}

func (r *router) load(ctx context.Context) error {
	live, err := r.get(ctx, r.kind, r.name)
	if err != nil {
		return err
	}
	r.live, r.read = live, true
	return nil
}

// look finds our routes in an object. Errors: *ForeignError, *AmbiguousError.
func (r *router) look(live *unstructured.Unstructured) (*routing, error) {
	adopting := r.owner.adopts(live, r.shared)
	if !r.shared && !adopting && !r.owner.owns(live) {
		return nil, &ForeignError{Object: r.object(), Whose: whose(live)}
	}
	all, err := readAnnotations(live)
	if err != nil {
		return nil, err
	}
	m, annotated, err := all.mine(r.owner, r.object(), r.ref.name)
	if err != nil {
		return nil, err
	}
	adopting = adopting && !annotated
	out := &routing{dialect: r.dialect, ref: r.ref, object: r.object(), live: live, annotation: m, annotated: annotated, adopting: adopting}
	if adopting {
		out.place, err = findByHand(r.dialect, routesOf(r.dialect, live), r.ref, r.shared, r.object())
	} else {
		out.place, err = find(r.dialect, routesOf(r.dialect, live), r.ref, m, r.object())
	}
	if err != nil {
		return nil, err
	}
	if !annotated && !out.headerIsOurs() {
		return nil, &AmbiguousError{Object: r.object(), Route: r.ref.header, Reason: fmt.Sprintf(
			"It has a %s of this name already, which does not lead to the canary; this split needs the name for its headers.", r.dialect.word())}
	}
	return out, nil
}

func (r *router) Read(ctx context.Context) (Observed, error) {
	if err := r.load(ctx); err != nil {
		return Observed{}, err
	}
	if r.live == nil {
		return Observed{Version: digest(nil)}, nil
	}
	found, err := r.look(r.live)
	if err != nil {
		return Observed{}, err
	}
	out := Observed{Exists: found.base() != nil, Managed: found.annotated, InstanceID: found.annotation.Instance}
	out.Version = digest([]any{r.live.GetUID(), r.live.Object["spec"], found.annotation})
	out.Split, out.Drift = found.split()
	if found.adopting {
		out.Drift = append(out.Drift, found.takenOver(r.shared))
	}
	if !r.shared {
		for _, field := range r.differing(r.live) {
			out.Drift = append(out.Drift, fmt.Sprintf("%s of %s are not as given", field, r.object()))
		}
	}
	return out, nil
}

// differing are the fields of an own object, in addition to its routes, that are not as they should be.
func (r *router) differing(live *unstructured.Unstructured) []string {
	spec, _ := live.Object["spec"].(map[string]any)
	var out []string
	for field, want := range r.spec {
		if !sameMembers(spec[field], want) {
			out = append(out, field)
		}
	}
	slices.Sort(out)
	return out
}

// sameMembers compares two lists of JSON whose order means nothing.
func sameMembers(a, b any) bool {
	one, ok := a.([]any)
	other, both := b.([]any)
	if !ok || !both || len(one) != len(other) {
		return reflect.DeepEqual(a, b)
	}
	for _, entry := range one {
		if !slices.ContainsFunc(other, func(each any) bool { return reflect.DeepEqual(entry, each) }) {
			return false
		}
	}
	return true
}

// mayWrite refuses a route that another resource instance has taken over.
func (r *router) mayWrite(found *routing) error {
	got := found.annotation.Instance
	if found.annotated && !r.owner.TakeOver && r.owner.InstanceID != "" && got != "" && got != r.owner.InstanceID {
		return errAnotherInstance(found.route(), r.owner.InstanceID, got)
	}
	return nil
}

func (r *router) Set(ctx context.Context, split Split) error {
	r.checked = false
	return r.set(ctx, split)
}

func (r *router) set(ctx context.Context, split Split) error {
	if problems := ValidateSplit(split); len(problems) > 0 {
		return &InvalidError{Object: r.Object(), Problems: problems}
	}
	if !r.read {
		if err := r.load(ctx); err != nil {
			return err
		}
	}
	if r.live == nil && r.shared {
		return &MissingError{Object: r.object()}
	}
	if r.live == nil {
		return r.make(ctx, split)
	}
	written, err := r.change(ctx, r.kind, r.live, r.sameRoute, func(live *unstructured.Unstructured) (*patch, []operation, error) {
		return r.plan(ctx, live, split)
	})
	if err != nil {
		return err
	}
	r.live = written
	return nil
}

func (r *router) make(ctx context.Context, split Split) error {
	routes, m, err := r.ownRoutes(split)
	if err != nil {
		return err
	}
	text, err := annotations{r.owner.Name: m}.text()
	if err != nil {
		return err
	}
	if err := r.guard(ctx); err != nil {
		return err
	}
	if err := findRival(ctx, r, func(*unstructured.Unstructured) bool { return false }); err != nil {
		return err
	}
	spec := runtime.DeepCopyJSON(r.spec)
	spec[r.dialect.list()] = routes
	made, err := r.create(ctx, r.kind, r.name, r.owner,
		map[string]string{AnnotationSplits: text, environment.AnnotationInstance: r.owner.InstanceID}, spec)
	if err != nil {
		return err
	}
	r.live = made
	return nil
}

// ownRoutes are the routes of an own object.
func (r *router) ownRoutes(split Split) ([]any, annotation, error) {
	base := runtime.DeepCopyJSON(r.plain)
	header, err := headerRoute(r.dialect, r.Object(), r.ref.header, base, split.Headers)
	if err != nil {
		return nil, annotation{}, err
	}
	m := annotation{Client: r.owner.Handle.Client, Stage: r.owner.Handle.Stage, Instance: r.owner.InstanceID, Route: r.ref.name}
	base[r.dialect.destinations()] = divide(r.dialect, base, split.Weight)
	if header == nil {
		return []any{base}, m, nil
	}
	m.Header = digest(header)
	return []any{header, base}, m, nil
}

// plan is the patch that makes an object divide traffic by split.
func (r *router) plan(ctx context.Context, live *unstructured.Unstructured, split Split) (*patch, []operation, error) {
	found, err := r.look(live)
	if err != nil {
		return nil, nil, err
	}
	if err := r.mayWrite(found); err != nil {
		return nil, nil, err
	}
	p := newPatch(live)
	var m annotation
	switch {
	case found.adopting && !r.shared && found.base() == nil:
		return nil, nil, found.notDivided()
	case !r.shared && found.base() == nil:
		m, err = r.remake(p, found, split)
	default:
		claimed := found.adopting && !r.shared
		if claimed {
			found.claim(p, r.owner)
		}
		m, err = found.divideBy(p, split, r.owner, !r.shared)
		if claimed {
			m.Route = r.ref.name
			if r.ref.index == nil {
				m.Fixed = "" // it has a name from now on
			}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if m.Instance == "" {
		m.Instance = found.annotation.Instance
	}
	if !r.shared {
		for _, field := range r.differing(live) {
			p.add("/spec/"+field, r.spec[field])
		}
		p.annotate(environment.AnnotationInstance, m.Instance)
	}
	if err := r.writeAnnotation(p, &m); err != nil {
		return nil, nil, err
	}
	if !p.empty() {
		if err := r.guard(ctx); err != nil {
			return nil, nil, err
		}
	}
	return p, found.tests(), nil
}

// remake puts our routes back into an own object out of which others took them, behind what is left.
func (r *router) remake(p *patch, found *routing, split Split) (annotation, error) {
	routes, m, err := r.ownRoutes(split)
	if err != nil {
		return annotation{}, err
	}
	path := "/spec/" + r.dialect.list()
	if len(found.routes()) == 0 {
		p.add(path, routes)
		return m, nil
	}
	for _, route := range routes {
		p.add(path+"/-", route)
	}
	if found.header() != nil {
		p.remove(entryPath(r.dialect, found.place.header))
	}
	return m, nil
}

// writeAnnotation writes the entry of this split in AnnotationSplits; nil removes it. The entries of other splits stay.
func (r *router) writeAnnotation(p *patch, m *annotation) error {
	all, err := readAnnotations(p.live)
	if err != nil {
		return err
	}
	before, there := all[r.owner.Name]
	switch {
	case m == nil && !there, m != nil && there && reflect.DeepEqual(before, *m):
		return nil
	case m == nil:
		delete(all, r.owner.Name)
	default:
		all[r.owner.Name] = *m
	}
	text := ""
	if len(all) > 0 {
		if text, err = all.text(); err != nil {
			return err
		}
	}
	p.annotate(AnnotationSplits, text)
	return nil
}

// sameRoute reports that our routes and our annotation are the same in two readings. What others did with theirs is their affair.
func (r *router) sameRoute(a, b *unstructured.Unstructured) bool {
	if a.GetUID() != b.GetUID() {
		return false
	}
	one, err := r.look(a)
	if err != nil {
		return false
	}
	other, err := r.look(b)
	if err != nil {
		return false
	}
	return one.annotated == other.annotated && reflect.DeepEqual(one.annotation, other.annotation) &&
		reflect.DeepEqual(one.base(), other.base()) && reflect.DeepEqual(one.header(), other.header())
}

// Prepare has nothing to make: a route names Services, which are not ours.
func (r *router) Prepare(context.Context, Split) (written bool, err error) { return false, nil }

// Restore undoes what Set did, see Router.
func (r *router) Restore(ctx context.Context) error {
	r.checked = false
	var err error
	for range mostTries {
		err = r.restoreOnce(ctx)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
	}
	return err
}

// restoreOnce reads anew: whatever became of the route meanwhile, our part in it goes.
func (r *router) restoreOnce(ctx context.Context) error {
	err := r.load(ctx)
	var missing *KindMissingError
	if errors.As(err, &missing) {
		return nil // Without the kind there is no object of it.
	}
	if err != nil || r.live == nil {
		return err
	}
	found, err := r.look(r.live)
	var foreign *ForeignError
	if errors.As(err, &foreign) {
		return nil // It was ours once, if ever.
	}
	if err != nil {
		return err
	}
	if err := r.mayWrite(found); err != nil {
		return err
	}
	if gone, err := r.gone(ctx); gone || err != nil {
		return err
	}
	if !r.shared && !found.hasOthers() {
		if err := r.remove(ctx, r.kind, r.live); err != nil {
			return err
		}
		r.live = nil
		return nil
	}
	written, err := r.change(ctx, r.kind, r.live, sameContent, r.takeOut)
	if err != nil {
		return err
	}
	r.live = written
	return nil
}

// gone reports that the namespace is gone or going, which takes the route with it.
func (r *router) gone(ctx context.Context) (bool, error) {
	err := r.guard(ctx)
	var missing *environment.NamespaceMissingError
	var terminating *environment.NamespaceTerminatingError
	if errors.As(err, &missing) || errors.As(err, &terminating) {
		return true, nil
	}
	return false, err
}

// takeOut is the patch that leaves an object to its others.
func (r *router) takeOut(live *unstructured.Unstructured) (*patch, []operation, error) {
	found, err := r.look(live)
	if err != nil {
		return nil, nil, err
	}
	p := newPatch(live)
	if !r.shared {
		// Requests that no route matches are refused; so the base route stays, and leads where requests went without any route.
		found.annotation.Before, _ = r.plain[r.dialect.destinations()].([]any)
		for label := range r.owner.Labels() {
			p.remove("/metadata/labels/" + escape(label))
		}
		p.annotate(environment.AnnotationInstance, "")
	}
	found.undivide(p)
	if err := r.writeAnnotation(p, nil); err != nil {
		return nil, nil, err
	}
	return p, found.tests(), nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

func (r *router) Restore(ctx context.Context) error {
	r.guarded = false
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

// takeOut is the patch that leaves an object to its others.
func (r *router) takeOut(live *unstructured.Unstructured) (*patch, []operation, error) {
	found, err := r.look(live)
	if err != nil {
		return nil, nil, err
	}
	p := newPatch(live)
	if !r.shared {
		// Requests that no route matches are refused; so the base route stays, and leads where requests went without any route.
		found.mark.Before, _ = r.plain[r.dialect.destinations()].([]any)
		for label := range r.owner.Labels() {
			p.remove("/metadata/labels/" + escape(label))
		}
		p.annotate(environment.AnnotationInstance, "")
	}
	found.undivide(p)
	if err := r.remark(p, nil); err != nil {
		return nil, nil, err
	}
	return p, found.tests(), nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// adopts reports that an object is the one that was imported, and is still nobody's.
func (r *router) adopts(live *unstructured.Unstructured) bool {
	return r.owner.Adopt != "" && string(live.GetUID()) == r.owner.Adopt && whose(live) == "" && (r.shared || ownedBy(live) == "")
}

// takenOver says in words what the first Set after an import does.
func (r *router) takenOver() string {
	if r.shared {
		return fmt.Sprintf("the %s %s of %s is to be taken over, as it was imported", r.dialect.word(), r.ref, r.object())
	}
	return r.object() + " is to be taken over, as it was imported"
}

// claim makes an object ours that somebody else made: its labels, and the name of the route that is divided.
func (r *router) claim(p *patch, found *routing) {
	labels := r.owner.Labels()
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
	if nameOf(found.base()) != r.ref.name {
		p.add(entryPath(r.dialect, found.place.base)+"/name", r.ref.name)
	}
}

func (r *router) notDivided(live *unstructured.Unstructured) error {
	return &ShapeError{Object: r.object(), Reason: fmt.Sprintf(
		"It was imported, and none of its %d %ss sends its requests to the two tracks any more.", len(routesOf(r.dialect, live)),
		r.dialect.word())}
}

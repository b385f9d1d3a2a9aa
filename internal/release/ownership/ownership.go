// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package ownership names a Helm release in an environment, and the labels and annotations by which Helm knows its objects.
package ownership

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Release names a Helm release in an environment.
type Release struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Name of the Helm release.
	Name string
}

// Error says that a release, or one of the objects that it would create, belongs to another owner. Nothing was written.
type Error struct {
	Release   string
	Namespace string
	// Revision and Status of the foreign release; 0 where an object or the record is foreign and not the release.
	Revision int
	Status   string
	// Reason says what was observed, Advice what to do.
	Reason string
	Advice string
}

// Explain returns the paragraphs of the error.
func (e *Error) Explain() (happened, observed, advice string) {
	if e.Revision == 0 {
		return fmt.Sprintf("Release %s in namespace %s would take what is not its own.", e.Release, e.Namespace), e.Reason, e.Advice
	}
	return fmt.Sprintf("Release %s exists already in namespace %s and was not made by Slipway.", e.Release, e.Namespace),
		fmt.Sprintf("Its newest revision is %d (%s), and there is no record of it. Nothing was changed.", e.Revision, e.Status), e.Advice
}

func (e *Error) Error() string { return explain.Text(e.Explain()) }

// Annotations by which Helm knows which release an object belongs to.
const (
	AnnotationReleaseName      = "meta.helm.sh/release-name"
	AnnotationReleaseNamespace = "meta.helm.sh/release-namespace"
)

// The label that Helm requires on the objects of a release, next to the annotations.
const (
	LabelManagedBy = cluster.LabelManagedBy
	ManagedByHelm  = "Helm"
)

// Annotate sets Helm's label and annotations of the release on an object.
func (r Release) Annotate(o map[string]any) {
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		return
	}
	put := func(field string, entries map[string]string) {
		known, ok := metadata[field].(map[string]any)
		if !ok {
			known = map[string]any{}
			metadata[field] = known
		}
		for k, v := range entries {
			known[k] = v
		}
	}
	put("labels", map[string]string{LabelManagedBy: ManagedByHelm})
	put("annotations", map[string]string{AnnotationReleaseName: r.Name, AnnotationReleaseNamespace: r.Handle.Namespace})
}

// Owns reports that an object with these annotations belongs to the release of that name.
func Owns(annotations map[string]string, release, namespace string) bool {
	return annotations[AnnotationReleaseName] == release && annotations[AnnotationReleaseNamespace] == namespace
}

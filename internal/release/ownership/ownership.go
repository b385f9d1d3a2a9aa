// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

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

// Error says that a release, or one of the objects that it would make, belongs to somebody else. Nothing was written to
// it.
type Error struct {
	Release   string
	Namespace string
	// Revision and Status of the foreign release; 0 where an object or the record is foreign and not the release.
	Revision int
	Status   string
	// Reason says what was observed, Advice how the reader gets on.
	Reason string
	Advice string
}

// Explain says it in three paragraphs.
func (e *Error) Explain() (happened, observed, advice string) {
	if e.Revision == 0 {
		return fmt.Sprintf("Release %s in namespace %s would take what is not its own.", e.Release, e.Namespace), e.Reason, e.Advice
	}
	return fmt.Sprintf("Release %s exists already in namespace %s and was not made by Slipway.", e.Release, e.Namespace),
		fmt.Sprintf("Its newest revision is %d (%s), and there is no record of it. Nothing was changed.", e.Revision, e.Status), e.Advice
}

func (e *Error) Error() string { return explain.Text(e.Explain()) }

// Annotations by which Helm knows whose an object is.
const (
	AnnotationReleaseName      = "meta.helm.sh/release-name"
	AnnotationReleaseNamespace = "meta.helm.sh/release-namespace"
)

// Helm's mark on the objects of a release, beside the annotations with the release's name and namespace.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedByHelm  = "Helm"
)

// Mark puts Helm's mark for a release on an object.
func (r Release) Mark(o map[string]any) {
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		return
	}
	put := func(field string, marks map[string]string) {
		known, ok := metadata[field].(map[string]any)
		if !ok {
			known = map[string]any{}
			metadata[field] = known
		}
		for k, v := range marks {
			known[k] = v
		}
	}
	put("labels", map[string]string{LabelManagedBy: ManagedByHelm})
	put("annotations", map[string]string{AnnotationReleaseName: r.Name, AnnotationReleaseNamespace: r.Handle.Namespace})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"maps"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

// Options are the facts about the operation that templates can see.
type Options struct {
	ReleaseName string
	Namespace   string
	// Install is .Release.IsInstall; its opposite is .Release.IsUpgrade.
	Install  bool
	Revision int
	// Capabilities are what .Capabilities shows. Nil: the cluster is not known. Then the oldest supported Kubernetes is
	// used, the chart's kubeVersion is not checked, and every object that depends on capabilities is volatile.
	Capabilities *cluster.Capabilities
	// CapabilitiesMayChange and OperationMayChange make objects volatile that depend on .Capabilities, or on whether the
	// operation is an install or an upgrade (both for a create: another resource of the same apply may change the first,
	// and a release that is already there the second).
	CapabilitiesMayChange bool
	OperationMayChange    bool
}

// Result is what a chart renders to, made fit for reviewers.
type Result struct {
	// Objects are all objects, hooks included, as canonical JSON with secrets masked: data of Secrets always, and every
	// leaf anywhere that depends on a sensitive or write-only value (object.MaskSecret); leaves that differ only with the
	// revision number are object.MaskRevision. Volatile objects are in here too, as they came out this time.
	Objects map[object.Key]string
	// Volatile names the objects that another rendering may show differently, with the reason in words ("uses randAlphaNum",
	// "uses lookup", "depends on the cluster's capabilities"). They are planned unknown and not in Digest.
	Volatile map[object.Key]string
	// VolatileSet says why even the set of objects may differ next time; empty in the usual case.
	VolatileSet string
	// DependsOnCapabilities says that some template asks for .Capabilities.
	DependsOnCapabilities bool
	// Unproven are the templates of which everything is masked that can depend on a secret, since the chart does not render with
	// another one.
	Unproven []Finding
	// Digest is object.Digest of Objects without the volatile ones.
	Digest string
	// Notes is NOTES.txt, masked like objects.
	Notes string

	// Raw is what Helm would store, with secrets in clear text. The dry run and the apply need it; it is never shown.
	Raw *Raw
	// ByKey are the objects of Raw under the keys of Objects.
	ByKey map[object.Key]object.Rendered
	// Brings are the kinds ("Widget.example.com") that the chart's crds folder defines, where the apply installs it.
	Brings map[string]bool
	// Secrets finds the secrets of the spec, and the data of rendered Secrets, in texts.
	Secrets *redact.Secrets

	// namespace is that of the release.
	namespace string
}

// Diverges compares a rendering with the entries that a plan showed, both masked. Volatile objects are left out: the plan
// said that they may come out differently. The rest must agree in both directions, so the rendering must be made with the
// options of the plan (CapabilitiesMayChange, OperationMayChange), or what was unknown there counts as unplanned here.
func (r *Result) Diverges(planned map[object.Key]string) []divergence {
	var out []divergence
	for key, want := range planned {
		if _, volatile := r.Volatile[key]; volatile {
			continue
		}
		got, there := r.Objects[key]
		switch {
		case !there:
			out = append(out, divergence{key, "was planned and is not rendered"})
		case got != want:
			out = append(out, differingLeaves(key, want, got)...)
		}
	}
	for key := range r.Objects {
		_, known := planned[key]
		_, volatile := r.Volatile[key]
		if !known && !volatile {
			out = append(out, divergence{key, "was not planned"})
		}
	}
	slices.SortFunc(out, func(a, b divergence) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// steady are the objects that are not volatile.
func (r *Result) steady() map[object.Key]string {
	out := maps.Clone(r.Objects)
	for key := range r.Volatile {
		delete(out, key)
	}
	return out
}

// Finding is a remark of the chart review.
type Finding struct {
	Rule string // for example "no-prestop-delay"
	// Object is the object, or the template, that the finding is about.
	Object object.Key
	Text   string // what and the cure
}

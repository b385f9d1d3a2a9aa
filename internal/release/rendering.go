// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

// RenderOptions are the facts about the operation that templates can see.
type RenderOptions struct {
	ReleaseName string
	Namespace   string
	// Install is .Release.IsInstall; its opposite is .Release.IsUpgrade.
	Install  bool
	Revision int
	// Capabilities are what .Capabilities shows. Nil: the cluster is not known. Then the oldest supported Kubernetes stands in
	// for it, the chart's kubeVersion is not checked, and every object that depends on capabilities is volatile.
	Capabilities *cluster.Capabilities
	// CapabilitiesMayChange and OperationMayChange make objects volatile that depend on .Capabilities, or on whether the
	// operation is an install or an upgrade (both for a create: another resource of the same apply may change the first,
	// and a release that is already there the second).
	CapabilitiesMayChange bool
	OperationMayChange    bool
}

// Rendering is what a chart renders to, made fit for reviewers.
type Rendering struct {
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
	// Digest is object.Digest of Objects without the volatile ones.
	Digest string
	// Notes is NOTES.txt, masked like objects.
	Notes string

	// raw is what Helm would store, with secrets in clear, for Trial and Apply.
	raw *rawRendering
	// byKey are the objects of raw under the keys of Objects.
	byKey map[object.Key]object.Rendered
	// brings are the kinds ("Widget.example.com") that the chart's crds folder defines, where the apply installs it.
	brings map[string]bool
	// scrub finds the secrets of the spec, and the data of rendered Secrets, in texts.
	scrub *redact.Secrets
}

// Finding is a remark of the chart review.
type Finding struct {
	Rule   string // for example "no-prestop-delay"
	Object object.Key
	Text   string // what and the cure
}

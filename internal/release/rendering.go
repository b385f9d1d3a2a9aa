// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"

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

// Render renders offline, exactly as Helm stores it (same order, same parsing), and renders again with perturbed inputs
// to find what depends on secrets, the revision, the operation and the capabilities. Errors: *TemplateError (file, line,
// cause; no secret in it), *ParseError of package object, *SchemaError.
func Render(ctx context.Context, spec Spec, options RenderOptions) (*Rendering, error) {
	return render(ctx, spec, options)
}

// Finding is a remark of the chart review.
type Finding struct {
	Rule   string // for example "no-prestop-delay"
	Object object.Key
	Text   string // what and the cure
}

// Review looks for what makes rollouts lose requests or capacity: pods behind a Service without preStop delay, replicas
// beside an HPA, config that pods do not notice (no checksum annotation and no hashed name).
func Review(r *Rendering) []Finding {
	return review(r)
}

// TrialResult is what the API server says of a rendering that is not applied yet.
type TrialResult struct {
	// Refusals would fail the apply: schema errors, immutable fields, admission, quota, Pod Security, a name that is taken.
	Refusals []Refusal
	// Overwrites are live differences that the apply would put back: hand edits, replicas that an HPA owns.
	Overwrites []Overwrite
	// Skipped says in words what could not be tried and why (no right to dry-run, the kind is not served yet).
	Skipped []string
}

// Refusal is one refused object.
type Refusal struct {
	Object object.Key
	// Reason is the API's reason ("Invalid", "Forbidden", "AlreadyExists") and Message its text, without secret data.
	Reason  string
	Message string
}

// Overwrite is one leaf of a live object.
type Overwrite struct {
	Object object.Key
	Path   string
	Live   string
	Target string
}

// Trial tries the objects of next that differ from previous (nil on create) with dry runs: Helm's own three-way patch with
// dryRun=All for what exists, POST for what does not, one Pod per changed pod template, and quota arithmetic over
// (replicas + surge). Unchanged objects cost nothing; work is bounded-parallel. Nothing is written. The base of the
// three-way patch is the stored manifest of the deployed revision. outside says that this revision was not made by Slipway:
// then everything in which it differs from next is tried, and what it changed since previous counts as overwritten. Errors
// only for what hinders the trial as a whole (cluster.Classify).
func Trial(ctx context.Context, target Target, previous map[object.Key]string, next *Rendering, outside bool) (*TrialResult, error) {
	return try(ctx, target, previous, next, outside)
}

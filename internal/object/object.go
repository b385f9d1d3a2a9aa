// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package object works on rendered Kubernetes objects: their keys, canonical JSON, masks and summaries of change. It knows
// neither Helm nor Terraform and sends no request.
package object

// Key names an object in a release: "apps/v1/Deployment/data-collection", or with its namespace in front of the name
// where that is not the release's own: "v1/ConfigMap/other-namespace/name". Core kinds have no group: "v1/Service/x".
type Key string

// Rendered is one object as a chart rendered it.
type Rendered struct {
	Key    Key
	Source string         // template file, for example "data-collection-service/templates/deployment.yaml"
	Hook   bool           // carries helm.sh/hook
	Object map[string]any // as parsed from YAML with Helm's rules (sigs.k8s.io/yaml)
}

// Mask replaces what must not be shown.
const (
	MaskSecret   = "(sensitive value)"
	MaskRevision = "(release revision)"
)

// ParseManifest splits a multi-document manifest into objects in their order. Errors: *ParseError with document number,
// source comment and line; *DuplicateKeyError.
func ParseManifest(manifest string, releaseNamespace string) ([]Rendered, error)

// Canonical is the canonical JSON of a value: sorted keys, no insignificant space, integral numbers as integers.
func Canonical(v any) (string, error)

// Digest of an object set: "c1:sha256:<hex>" over sorted keys and canonical JSON. "c1" names this canonicalisation.
func Digest(objects map[Key]string) string

// MaskSecretData returns a copy in which data, stringData (and binaryData) of a v1 Secret are MaskSecret; other kinds are
// returned unchanged.
func MaskSecretData(o map[string]any) map[string]any

// MaskDifferences returns a copy of base in which every leaf that differs from one of variants (or is missing there) is
// mask; a map or list whose shape differs is masked at the smallest subtree that does. masked lists the paths.
func MaskDifferences(base map[string]any, mask string, variants ...map[string]any) (out map[string]any, masked []string)

// Summary describes the difference of two object sets in words, sorted by key, for reviewers:
//
//	Deployment/data-collection-service: image v1.1.1 → v1.2.0
//	Deployment/data-collection-service: replicas 2 → 3
//	ConfigMap/data-collection-service: data.LOG_LEVEL "info" → "debug"
//	HorizontalPodAutoscaler/data-collection-service: maxReplicas 20 → 50
//	Secret/data-collection-service: data.apiToken changed (sensitive value)
//	Job/seed: added
//	Service/old: removed
//
// Containers, env, ports and volumes are matched by name, not by index. Long values are cut, at most maxLinesPerObject
// lines are given per object ("… and 12 more changes").
func Summary(before, after map[Key]string) []string

// Diff lists the leaf differences of two objects as JSON paths with old and new value.
func Diff(before, after map[string]any) []Change

// Change is one differing leaf. Before or After is nil when the leaf was added or removed.
type Change struct {
	Path   string
	Before any
	After  any
}

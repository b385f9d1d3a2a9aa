// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package object works on rendered Kubernetes objects: their keys, canonical JSON, masks, drift and summaries of change. It does not
// depend on Helm or Terraform and sends no requests.
package object

import (
	"fmt"
	"regexp"
	"strings"
)

// Key names an object in a release: "apps/v1/Deployment/data-collection", or with its namespace in front of the name
// where that is not the release's own: "v1/ConfigMap/other-namespace/name". Core kinds have no group: "v1/Service/x".
type Key string

// Rendered is one object as a chart rendered it.
type Rendered struct {
	Key    Key
	Source string         // template file, for example "data-collection-service/templates/deployment.yaml"
	Hook   bool           // carries helm.sh/hook
	Object map[string]any // as parsed from YAML with Helm's rules; numbers are int64, float64, or json.Number beyond both
}

// Mask replaces values that must not be shown.
const (
	MaskSecret   = "(sensitive value)"
	MaskRevision = "(release revision)"
)

// KeyOf names an object. Objects of releaseNamespace, and those without a namespace, have no namespace in their key. The
// error names the missing field: apiVersion, kind or metadata.name.
func KeyOf(o map[string]any, releaseNamespace string) (Key, error) {
	apiVersion, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	metadata, _ := o["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	switch {
	case kind == "":
		return "", fmt.Errorf("the object has no kind")
	case apiVersion == "":
		return "", fmt.Errorf("the %s has no apiVersion", kind)
	case name == "" && metadata["generateName"] != nil:
		return "", fmt.Errorf("the %s has generateName instead of metadata.name: an object of a release needs a fixed name", kind)
	case name == "" && metadata["name"] != nil && metadata["name"] != "":
		return "", fmt.Errorf("the metadata.name of the %s is %s, not a string; quote it in the template", kind, describeKind(metadata["name"]))
	case name == "":
		return "", fmt.Errorf("the %s has no metadata.name", kind)
	}
	return NewKey(apiVersion, kind, namespace, name, releaseNamespace), nil
}

var versionSegment = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)

// Parts splits a key. The namespace is empty for objects of the release's own namespace and for cluster-wide ones.
// A key of another form is returned whole as name.
func (k Key) Parts() (apiVersion, kind, namespace, name string) {
	segments := strings.Split(string(k), "/")
	grouped := len(segments) >= 4 && !versionSegment.MatchString(segments[0])
	if grouped {
		apiVersion, segments = segments[0]+"/"+segments[1], segments[2:]
	} else {
		apiVersion, segments = segments[0], segments[1:]
	}
	switch len(segments) {
	case 2:
		return apiVersion, segments[0], "", segments[1]
	case 3:
		return apiVersion, segments[0], segments[1], segments[2]
	}
	return "", "", "", string(k)
}

// Short is the key without its API version, for people: "Deployment/data-collection".
func (k Key) Short() string {
	_, kind, namespace, name := k.Parts()
	switch {
	case kind == "":
		return name
	case namespace == "":
		return kind + "/" + name
	}
	return kind + "/" + namespace + "/" + name
}

// ParseError is a document of a manifest that is not a Kubernetes object.
type ParseError struct {
	Document int    // counted from 1, empty documents not counted
	Source   string // template file, empty where the document does not say
	Line     int    // in the template's output, counted from 1; 0 if unknown
	Reason   string
}

func (e *ParseError) Error() string {
	place := fmt.Sprintf("document %d of the manifest", e.Document)
	if e.Source != "" {
		place = e.Source
	}
	if e.Line > 0 {
		place += fmt.Sprintf(", line %d of its output", e.Line)
	}
	return place + ": " + e.Reason
}

// DuplicateKeyError is an object that a manifest contains twice: their order would decide which of them applies.
type DuplicateKeyError struct {
	Key     Key
	Sources []string // the template files of both, if known
}

func (e *DuplicateKeyError) Error() string {
	text := fmt.Sprintf("%s is rendered twice", e.Key.Short())
	if len(e.Sources) == 2 && e.Sources[0] != e.Sources[1] {
		return text + fmt.Sprintf(", by %s and %s", e.Sources[0], e.Sources[1])
	}
	if len(e.Sources) > 0 && e.Sources[0] != "" {
		return text + ", by " + e.Sources[0]
	}
	return text
}

// Count is "1 object" or "3 objects".
func Count(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// NewKey names an object by its parts, as KeyOf does.
func NewKey(apiVersion, kind, namespace, name, releaseNamespace string) Key {
	if namespace == "" || namespace == releaseNamespace {
		return Key(apiVersion + "/" + kind + "/" + name)
	}
	return Key(apiVersion + "/" + kind + "/" + namespace + "/" + name)
}

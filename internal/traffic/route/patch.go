// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patch collects operations for one object. What it does not name stays as it is, byte for byte.
type patch struct {
	live       *unstructured.Unstructured
	operations []operation
	// annotated is set once the object has annotations, live or by this patch.
	annotated bool
}

func newPatch(live *unstructured.Unstructured) *patch {
	return &patch{live: live, annotated: len(live.GetAnnotations()) > 0}
}

func (p *patch) add(path string, value any)     { p.push("add", path, value) }
func (p *patch) replace(path string, value any) { p.push("replace", path, value) }
func (p *patch) remove(path string)             { p.push("remove", path, nil) }
func (p *patch) empty() bool                    { return len(p.operations) == 0 }

func (p *patch) push(op, path string, value any) {
	p.operations = append(p.operations, operation{Op: op, Path: path, Value: value})
}

// annotate sets one annotation; an empty text removes it.
func (p *patch) annotate(key, text string) {
	path := "/metadata/annotations/" + escape(key)
	live, there := p.live.GetAnnotations()[key]
	switch {
	case text == live && there, text == "" && !there:
	case text == "":
		p.remove(path)
	case !p.annotated:
		p.add("/metadata/annotations", map[string]any{key: text})
		p.annotated = true
	default:
		p.add(path, text)
	}
}

func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// conditional is the patch with tests before it: it does nothing to another object than the one that was read, and nothing where
// its spec or our own annotation has changed, nor where one of the further tests fails. Where the status alone has, which the
// mesh writes at any time, the patch holds.
func (p *patch) conditional(tests ...operation) []operation {
	annotations := p.live.GetAnnotations()
	out := []operation{{Op: "test", Path: "/metadata/uid", Value: string(p.live.GetUID())}}
	if p.live.GetGeneration() == 0 || len(annotations) == 0 {
		// Adding the first annotation could wipe one that another user added meanwhile, which changes no generation.
		out = append(out, operation{Op: "test", Path: "/metadata/resourceVersion", Value: p.live.GetResourceVersion()})
	} else {
		out = append(out, operation{Op: "test", Path: "/metadata/generation", Value: p.live.GetGeneration()})
		if text, there := annotations[AnnotationSplits]; there {
			out = append(out, operation{Op: "test", Path: "/metadata/annotations/" + escape(AnnotationSplits), Value: text})
		}
	}
	return append(append(out, tests...), p.operations...)
}

// sameContent reports that two readings are of one object, with the same spec and the same AnnotationSplits.
func sameContent(a, b *unstructured.Unstructured) bool {
	return a.GetUID() == b.GetUID() && reflect.DeepEqual(a.Object["spec"], b.Object["spec"]) &&
		a.GetAnnotations()[AnnotationSplits] == b.GetAnnotations()[AnnotationSplits]
}

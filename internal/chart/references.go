// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
)

// dropForeignReferences takes out of the schemas of a chart and its subcharts what refers to other places. Helm would fetch it: from any
// address, in plans too, and from files of the machine. What such a reference describes is not checked.
func dropForeignReferences(c *helmchart.Chart) {
	c.Schema = withoutForeignReferences(c.Schema)
	for _, sub := range c.Dependencies() {
		dropForeignReferences(sub)
	}
}

// withoutForeignReferences returns a schema that needs no other document. One that is no JSON stays as it is: its reader reports that.
func withoutForeignReferences(schema []byte) []byte {
	if len(schema) == 0 {
		return schema
	}
	decoder := json.NewDecoder(bytes.NewReader(schema))
	decoder.UseNumber()
	var document any
	if decoder.Decode(&document) != nil {
		return schema
	}
	r := &references{own: map[string]bool{"": true}}
	r.collect(document)
	if !r.drop(document) {
		return schema
	}
	clean, err := json.Marshal(document)
	if err != nil {
		return schema
	}
	return clean
}

// references finds the references of one schema.
type references struct {
	// own are the addresses that parts of the schema give themselves.
	own map[string]bool
}

// data are keywords whose values are data, and no schemas.
var data = []string{"const", "default", "enum", "examples"}

func (r *references) collect(node any) {
	walk(node, func(table map[string]any) {
		for _, keyword := range []string{"$id", "id"} {
			if id, ok := table[keyword].(string); ok {
				r.own[strings.TrimSuffix(id, "#")] = true
			}
		}
	})
}

// drop removes what refers to another document, and reports whether it did.
func (r *references) drop(node any) (changed bool) {
	walk(node, func(table map[string]any) {
		for _, keyword := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
			if target, ok := table[keyword].(string); ok {
				if document, _, _ := strings.Cut(target, "#"); !r.own[document] {
					delete(table, keyword)
					changed = true
				}
			}
		}
		// The drafts are part of the library; another meta-schema would be fetched.
		if draft, ok := table["$schema"].(string); ok && !isDraft(draft) {
			delete(table, "$schema")
			changed = true
		}
	})
	return changed
}

// isDraft reports the address of a published draft of JSON Schema.
func isDraft(address string) bool {
	_, rest, _ := strings.Cut(strings.TrimSuffix(address, "#"), "://")
	return slices.Contains([]string{
		"json-schema.org/schema", "json-schema.org/draft-04/schema", "json-schema.org/draft-06/schema", "json-schema.org/draft-07/schema",
		"json-schema.org/draft/2019-09/schema", "json-schema.org/draft/2020-12/schema",
	}, rest)
}

// walk visits each map that may be a schema, the outer ones first.
func walk(node any, visit func(table map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(node)
		for keyword, below := range node {
			if !slices.Contains(data, keyword) {
				walk(below, visit)
			}
		}
	case []any:
		for _, below := range node {
			walk(below, visit)
		}
	}
}

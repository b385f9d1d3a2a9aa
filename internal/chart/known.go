// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// chartFacts are computed once for each chart.
type chartFacts struct {
	defaults map[string]any
	known    map[string]any // in the form of values.UnknownKeys; nil if the chart does not describe its values
}

func gatherFacts(c *helmchart.Chart) chartFacts {
	facts := chartFacts{defaults: defaultsOf(c)}
	known := knownOf(c)
	if len(known.children) > 0 && !known.open {
		known.child("global").open = true
		facts.known, _ = known.plain().(map[string]any)
	}
	return facts
}

func defaultsOf(c *helmchart.Chart) map[string]any {
	below := map[string]any{}
	for name, sub := range subcharts(c) {
		below[name] = defaultsOf(sub)
	}
	return values.Merge(below, c.Values)
}

// subcharts are a chart's dependencies under the names that their values have.
func subcharts(c *helmchart.Chart) map[string]*helmchart.Chart {
	named := map[string]*helmchart.Chart{}
	listed := map[*helmchart.Chart]bool{}
	for _, dependency := range c.Metadata.Dependencies {
		if dependency == nil {
			continue
		}
		sub := findDependency(c, dependency)
		if sub == nil {
			continue
		}
		listed[sub] = true
		name := dependency.Name
		if dependency.Alias != "" {
			name = dependency.Alias
		}
		named[name] = sub
	}
	for _, sub := range c.Dependencies() {
		if !listed[sub] {
			named[sub.Name()] = sub
		}
	}
	return named
}

func findDependency(c *helmchart.Chart, dependency *helmchart.Dependency) *helmchart.Chart {
	for _, sub := range c.Dependencies() {
		if sub.Name() == dependency.Name && (dependency.Version == "" || chartutil.IsCompatibleRange(dependency.Version, sub.Metadata.Version)) {
			return sub
		}
	}
	return nil
}

// key is a key that a chart knows. A key without children that is not open is a leaf.
type key struct {
	open     bool // any key is allowed below
	children map[string]*key
}

func (k *key) child(name string) *key {
	if k.children == nil {
		k.children = map[string]*key{}
	}
	if k.children[name] == nil {
		k.children[name] = &key{}
	}
	return k.children[name]
}

func (k *key) at(path []string) *key {
	for _, name := range path {
		k = k.child(name)
	}
	return k
}

func (k *key) merge(other *key) {
	k.open = k.open || other.open
	for name, below := range other.children {
		k.child(name).merge(below)
	}
}

// plain is the form of values.UnknownKeys: open maps are empty, leaves are nil.
func (k *key) plain() any {
	if k.open {
		return map[string]any{}
	}
	if len(k.children) == 0 {
		return nil
	}
	out := make(map[string]any, len(k.children))
	for name, below := range k.children {
		out[name] = below.plain()
	}
	return out
}

// knownOf collects the keys of a chart's own values, of its schema, of its templates (a chart may use a key that its
// values.yaml does not list), and of its subcharts.
func knownOf(c *helmchart.Chart) *key {
	root := &key{}
	below := subcharts(c)
	for name, value := range c.Values {
		// An empty map under a subchart's name does not describe the subchart's keys.
		if table, ok := value.(map[string]any); ok && below[name] != nil && len(table) == 0 {
			continue
		}
		addValue(root.child(name), value)
	}
	addSchema(root, c.Schema)
	addTemplates(root, c.Templates)
	for _, name := range slices.Sorted(maps.Keys(below)) {
		sub := knownOf(below[name])
		if len(sub.children) == 0 {
			sub.open = true
		}
		sub.child("global").open = true
		root.child(name).merge(sub)
		if below[name].Metadata.Type == "library" {
			// Its templates run with the values of the chart that includes them.
			addTemplates(root, below[name].Templates)
		}
	}
	for _, dependency := range c.Metadata.Dependencies {
		if dependency != nil {
			addDependency(root, dependency)
		}
	}
	return root
}

// addDependency adds the keys that enable a dependency, and those that it exports to its parent.
func addDependency(root *key, dependency *helmchart.Dependency) {
	for _, tag := range dependency.Tags {
		root.child("tags").child(tag)
	}
	for condition := range strings.SplitSeq(dependency.Condition, ",") {
		if condition = strings.TrimSpace(condition); condition != "" {
			root.at(strings.Split(condition, "."))
		}
	}
	name := dependency.Name
	if dependency.Alias != "" {
		name = dependency.Alias
	}
	for _, imported := range dependency.ImportValues {
		switch imported := imported.(type) {
		case string:
			root.merge(root.at(append([]string{name, "exports"}, strings.Split(imported, ".")...)))
		case map[string]any:
			child, _ := imported["child"].(string)
			parent, _ := imported["parent"].(string)
			into := root
			if parent != "" && parent != "." {
				into = root.at(strings.Split(parent, "."))
			}
			into.merge(root.at(append([]string{name}, strings.Split(child, ".")...)))
		}
	}
}

// addValue adds a default. An empty map or null leaves the keys to the user.
func addValue(at *key, value any) {
	switch value := value.(type) {
	case nil:
		at.open = true
	case map[string]any:
		if len(value) == 0 {
			at.open = true
		}
		for name, below := range value {
			addValue(at.child(name), below)
		}
	}
}

// addSchema adds the properties that a schema lists. Other sources decide about properties that it does not forbid: most schemas
// do not set additionalProperties.
func addSchema(root *key, text []byte) {
	var schema any
	if len(text) == 0 || json.Unmarshal(text, &schema) != nil {
		return // a schema that cannot be read is a finding of ValidateValues
	}
	addSchemaNode(root, schema, schema, 0)
}

// maxSchemaDepth limits recursive schemas.
const maxSchemaDepth = 32

func addSchemaNode(at *key, schema, document any, depth int) {
	node, ok := schema.(map[string]any)
	if !ok || depth > maxSchemaDepth {
		return
	}
	if reference, ok := node["$ref"].(string); ok {
		target, found := lookupPointer(document, reference)
		if !found {
			at.open = true
			return
		}
		addSchemaNode(at, target, document, depth+1)
	}
	properties, _ := node["properties"].(map[string]any)
	for name, below := range properties {
		addSchemaNode(at.child(name), below, document, depth+1)
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		alternatives, _ := node[keyword].([]any)
		for _, alternative := range alternatives {
			addSchemaNode(at, alternative, document, depth+1)
		}
	}
	for _, keyword := range []string{"if", "then", "else"} {
		addSchemaNode(at, node[keyword], document, depth+1)
	}
	switch additional := node["additionalProperties"].(type) {
	case map[string]any:
		at.open = true
	case bool:
		at.open = at.open || additional
	}
	if patterns, _ := node["patternProperties"].(map[string]any); len(patterns) > 0 {
		at.open = true
	}
}

// lookupPointer follows "#/definitions/x".
func lookupPointer(document any, reference string) (any, bool) {
	pointer, ok := strings.CutPrefix(reference, "#")
	if !ok {
		return nil, false
	}
	at := document
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if part == "" {
			continue
		}
		table, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = table[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; !ok {
			return nil, false
		}
	}
	return at, true
}

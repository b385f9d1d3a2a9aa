// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// schemaFindings describes schema errors in words.
type schemaFindings struct {
	chart    string
	at       []string // the path of the chart's values in those of the root chart
	values   any      // the chart's values
	document any      // the schema
}

// list descends to the findings that are useful.
func (f schemaFindings) list(problems []Problem, e *jsonschema.ValidationError) []Problem {
	switch reason := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range reason.Missing {
			path, text := f.place(append(slices.Clip(e.InstanceLocation), name))
			problems = append(problems, Problem{Path: path, Text: fmt.Sprintf("%s is missing; chart %s requires it", text, f.chart)})
		}
	case *kind.AdditionalProperties:
		known := f.propertiesAt(e.InstanceLocation)
		for _, name := range reason.Properties {
			problems = append(problems, f.unknown(e.InstanceLocation, name, known))
		}
	case *kind.AnyOf, *kind.OneOf:
		problems = append(problems, f.alternatives(e))
	default:
		if len(e.Causes) == 0 {
			path, text := f.place(e.InstanceLocation)
			return append(problems, Problem{Path: path, Text: text + " " + f.describe(e)})
		}
		for _, cause := range e.Causes {
			problems = f.list(problems, cause)
		}
	}
	return problems
}

func (f schemaFindings) unknown(location []string, name string, known []string) Problem {
	path, text := f.place(append(slices.Clip(location), name))
	sentence := fmt.Sprintf("%s is not a value of chart %s", text, f.chart)
	if nearest := values.Nearest(name, known); nearest != "" {
		_, meant := f.place(append(slices.Clip(location), nearest))
		sentence += fmt.Sprintf("; did you mean %s?", meant)
	}
	return Problem{Path: path, Text: sentence, Unknown: true}
}

// alternatives describes "any of" and "one of" in one sentence.
func (f schemaFindings) alternatives(e *jsonschema.ValidationError) Problem {
	path, text := f.place(e.InstanceLocation)
	if one, ok := e.ErrorKind.(*kind.OneOf); ok && len(one.Subschemas) > 1 {
		return Problem{
			Path: path,
			Text: fmt.Sprintf("%s fits more than one of the forms that the schema allows, of which only one may apply", text),
		}
	}
	var types, others []string
	for _, leaf := range leavesOf(e) {
		wanted, ok := leaf.ErrorKind.(*kind.Type)
		if ok && slices.Equal(leaf.InstanceLocation, e.InstanceLocation) {
			types = append(types, wanted.Want...)
			continue
		}
		_, place := f.place(leaf.InstanceLocation)
		others = append(others, place+" "+f.describe(leaf))
	}
	if len(others) == 0 {
		return Problem{Path: path, Text: fmt.Sprintf("%s is %s; allowed is %s", text, f.shown(e.InstanceLocation), orList(types))}
	}
	slices.Sort(others)
	return Problem{
		Path: path,
		Text: fmt.Sprintf("%s fits none of the forms that the schema allows: %s", text, strings.Join(slices.Compact(others), "; or: ")),
	}
}

func leavesOf(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var leaves []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		leaves = append(leaves, leavesOf(cause)...)
	}
	return leaves
}

// describe explains a finding, as the rest of a sentence that begins with the path.
func (f schemaFindings) describe(e *jsonschema.ValidationError) string {
	is := "is " + f.shown(e.InstanceLocation)
	switch reason := e.ErrorKind.(type) {
	case *kind.Type:
		return fmt.Sprintf("%s; allowed is %s", is, orList(reason.Want))
	case *kind.Enum:
		return fmt.Sprintf("%s; allowed are %s", is, scalarList(reason.Want))
	case *kind.Const:
		return fmt.Sprintf("%s; allowed is only %s", is, scalarList([]any{reason.Want}))
	case *kind.Minimum:
		return fmt.Sprintf("%s; it must be at least %s", is, number(reason.Want))
	case *kind.Maximum:
		return fmt.Sprintf("%s; it must be at most %s", is, number(reason.Want))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("%s; it must be more than %s", is, number(reason.Want))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("%s; it must be less than %s", is, number(reason.Want))
	case *kind.MultipleOf:
		return fmt.Sprintf("%s; it must be a multiple of %s", is, number(reason.Want))
	case *kind.Pattern:
		return fmt.Sprintf("%s; it must match the pattern %s", is, reason.Want)
	case *kind.Format:
		return fmt.Sprintf("%s; it must be a valid %s", is, reason.Want)
	case *kind.MinLength:
		return fmt.Sprintf("%s; it must have at least %d characters", is, reason.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("%s; it must have at most %d characters", is, reason.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items; it must have at least %d", reason.Got, reason.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items; it must have at most %d", reason.Got, reason.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d keys; it must have at least %d", reason.Got, reason.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d keys; it must have at most %d", reason.Got, reason.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has equal items at places %d and %d; each may be listed once", reason.Duplicates[0]+1, reason.Duplicates[1]+1)
	case *kind.Required:
		return fmt.Sprintf("has no %s, which is required", strings.Join(reason.Missing, ", "))
	case *kind.AdditionalProperties:
		return fmt.Sprintf("has the keys %s, which are not allowed", strings.Join(reason.Properties, ", "))
	case *kind.FalseSchema:
		return "is not allowed here"
	case *kind.Not:
		return is + ", which the schema rules out"
	}
	return "does not fit the schema: " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
}

// place returns the path of a location twice: only through maps, and with the indexes of lists.
func (f schemaFindings) place(location []string) (path, text string) {
	at := f.values
	var inList bool
	parts := slices.Clone(f.at)
	text = strings.Join(f.at, ".")
	for _, part := range location {
		if list, ok := at.([]any); ok {
			inList = true
			text += "[" + part + "]"
			if i, err := strconv.Atoi(part); err == nil && i < len(list) {
				at = list[i]
			}
			continue
		}
		if table, ok := at.(map[string]any); ok {
			at = table[part]
		}
		if text != "" {
			text += "."
		}
		text += part
		if !inList {
			parts = append(parts, part)
		}
	}
	if text == "" {
		text = "the top level"
	}
	return strings.Join(parts, "."), text
}

func (f schemaFindings) valueAt(location []string) any {
	at := f.values
	for _, part := range location {
		switch container := at.(type) {
		case map[string]any:
			at = container[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(container) {
				return nil
			}
			at = container[i]
		default:
			return nil
		}
	}
	return at
}

// shown is the found value: scalars as JSON with their type, maps and lists only by their type.
func (f schemaFindings) shown(location []string) string {
	switch v := f.valueAt(location).(type) {
	case string:
		return scalar(v) + " (a string)"
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	default:
		return values.Kind(v)
	}
}

// propertiesAt lists the properties that the schema has at a location.
func (f schemaFindings) propertiesAt(location []string) []string {
	root := &key{}
	addSchemaNode(root, f.document, f.document, 0)
	for _, name := range location {
		root = root.child(name)
	}
	return slices.Collect(maps.Keys(root.children))
}

// maxShown is the limit of characters of a value in a finding.
const maxShown = 80

func scalar(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return values.Kind(v)
	}
	if runes := []rune(string(text)); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return string(text)
}

func scalarList(allowed []any) string {
	parts := make([]string, len(allowed))
	for i, v := range allowed {
		parts[i] = scalar(v)
	}
	return strings.Join(parts, ", ")
}

func number(n *big.Rat) string {
	if n.IsInt() {
		return n.Num().String()
	}
	f, _ := n.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func orList(types []string) string {
	named := make([]string, 0, len(types))
	for _, t := range types {
		name := map[string]string{"object": "a map", "array": "a list", "integer": "an integer", "null": "null"}[t]
		if name == "" {
			name = "a " + t
		}
		if !slices.Contains(named, name) {
			named = append(named, name)
		}
	}
	return strings.Join(named, " or ")
}

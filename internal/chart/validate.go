// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Problem is one finding in values.
type Problem struct {
	// Path is the dotted path of the value, or of the list that contains it; empty if the finding concerns all values.
	Path string
	// Text is a sentence with the path, what was found there (scalars only), and what is allowed.
	Text    string
	Unknown bool // an unknown key, with the nearest known one in Text
}

// inOrder sorts problems, which schemas report in a random order, and removes repetitions.
func inOrder(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool { return a.Path == b.Path && (a.Text == b.Text || a.Unknown && b.Unknown) })
}

func unknownKeys(c *Chart, v map[string]any) []Problem {
	if c.facts.known == nil {
		return nil
	}
	var problems []Problem
	for _, unknown := range values.UnknownKeys(v, c.facts.known) {
		text := fmt.Sprintf("%s is not a value of chart %s", unknown.Path, c.Name)
		if unknown.Nearest != "" {
			text += fmt.Sprintf("; did you mean %s?", unknown.Nearest)
		}
		problems = append(problems, Problem{Path: unknown.Path, Text: text, Unknown: true})
	}
	return problems
}

// schemaProblems does what Helm does before it renders: values with all defaults, each chart's schema on its part.
func schemaProblems(c *Chart, v map[string]any) []Problem {
	parsed, err := c.Load()
	if err != nil {
		return []Problem{{Text: err.Error()}}
	}
	if problems := misplaced(parsed, nil, v); len(problems) > 0 {
		// Helm stops here, and its text would contain the values.
		return problems
	}
	merged := values.Merge(v)
	if err := chartutil.ProcessDependenciesWithMerge(parsed, merged); err != nil {
		return []Problem{{Text: fmt.Sprintf("cannot work out the subcharts of chart %s from these values: %v", c.Name, err)}}
	}
	coalesced, err := chartutil.CoalesceValues(parsed, merged)
	if err != nil {
		return []Problem{{Text: fmt.Sprintf("cannot merge these values with the defaults of chart %s: %v", c.Name, err)}}
	}
	// Helm's schemas need JSON: other Go types are converted.
	text, err := json.Marshal(coalesced)
	if err != nil {
		return []Problem{{Text: fmt.Sprintf("the values have no JSON: %v", err)}}
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return []Problem{{Text: fmt.Sprintf("the values have no JSON: %v", err)}}
	}
	return validateTree(parsed, nil, plain)
}

// misplaced finds values under a subchart's name that are not maps.
func misplaced(c *helmchart.Chart, at []string, v map[string]any) []Problem {
	var problems []Problem
	below := subcharts(c)
	for _, name := range slices.Sorted(maps.Keys(below)) {
		path := append(slices.Clip(at), name)
		switch value := v[name].(type) {
		case nil:
		case map[string]any:
			problems = append(problems, misplaced(below[name], path, value)...)
		default:
			dotted := strings.Join(path, ".")
			problems = append(problems, Problem{
				Path: dotted,
				Text: fmt.Sprintf("%s is %s; this is the place of the values of subchart %s, a map", dotted, values.Kind(value), below[name].Name()),
			})
		}
	}
	return problems
}

func validateTree(c *helmchart.Chart, at []string, v any) []Problem {
	var problems []Problem
	if len(c.Schema) > 0 {
		problems = validateOne(c, at, v)
	}
	table, _ := v.(map[string]any)
	for _, sub := range c.Dependencies() {
		if below, ok := table[sub.Name()].(map[string]any); ok {
			problems = append(problems, validateTree(sub, append(slices.Clip(at), sub.Name()), below)...)
		}
	}
	return problems
}

func validateOne(c *helmchart.Chart, at []string, v any) []Problem {
	broken := func(err error) []Problem {
		return []Problem{{Path: strings.Join(at, "."), Text: fmt.Sprintf("values.schema.json of chart %s is broken: %v", c.Name(), err)}}
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		return broken(err)
	}
	const address = "file:///values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(anywhere{})
	if err := compiler.AddResource(address, document); err != nil {
		return broken(err)
	}
	schema, err := compiler.Compile(address)
	if err != nil {
		return broken(err)
	}
	err = schema.Validate(v)
	var found *jsonschema.ValidationError
	if errors.As(err, &found) {
		return schemaFindings{chart: c.Name(), at: at, values: v, document: document}.list(nil, found)
	}
	if err != nil {
		return broken(err)
	}
	return nil
}

// anywhere fetches nothing. Chart.Load has dropped what refers to other documents; this holds should one be left.
type anywhere struct{}

func (anywhere) Load(string) (any, error) { return true, nil }

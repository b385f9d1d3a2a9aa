// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"bytes"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// UnknownKeys lists the keys of v that the chart does not know; none if the chart does not describe its values.
func (c *Chart) UnknownKeys(v map[string]any) []values.UnknownKey {
	if c.facts.known == nil {
		return nil
	}
	return values.UnknownKeys(v, c.facts.known)
}

// LendsValues reports that a dependency's values are imported into those of the chart (import-values), so that the chart's
// values are not only those of its values.yaml.
func (c *Chart) LendsValues() (bool, error) {
	parsed, err := c.Load()
	if err != nil {
		return false, err
	}
	for _, dependency := range parsed.Metadata.Dependencies {
		if dependency != nil && len(dependency.ImportValues) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Validator checks the values of many environments against one chart. Safe for concurrent use.
type Validator struct {
	chart  *Chart
	schema *jsonschema.Schema
	simple bool // a chart without subcharts: there is only its own schema
}

// NewValidator compiles the chart's schema once. Errors: *InvalidError for a chart that cannot be read.
func (c *Chart) NewValidator() (*Validator, error) {
	parsed, err := c.Load()
	if err != nil {
		return nil, err
	}
	v := &Validator{chart: c, simple: len(parsed.Dependencies()) == 0 && len(parsed.Metadata.Dependencies) == 0}
	if !v.simple || len(parsed.Schema) == 0 {
		return v, nil
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(parsed.Schema))
	if err != nil {
		v.simple = false
		return v, nil //nolint:nilerr // Validate reports the error.
	}
	const address = "file:///values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(anywhere{})
	if err := compiler.AddResource(address, document); err != nil {
		v.simple = false
		return v, nil //nolint:nilerr // Likewise.
	}
	if v.schema, err = compiler.Compile(address); err != nil {
		v.simple, v.schema = false, nil
	}
	return v, nil
}

// Validate checks values without nulls against values.schema.json, as ValidateValues does, without looking for unknown keys.
// complete means that v contains the chart's defaults.
func (v *Validator) Validate(data map[string]any, complete bool) []Problem {
	if v.simple {
		if v.schema == nil {
			return nil
		}
		if !complete {
			data = values.Merge(v.chart.facts.defaults, data)
		}
		if v.schema.Validate(data) == nil {
			return nil
		}
	}
	return inOrder(v.chart.schemaProblems(data))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"bytes"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Validator checks the values of many environments against one chart. Safe for concurrent use.
type Validator struct {
	chart  *Chart
	schema *jsonschema.Schema
	simple bool // a chart without subcharts: there is only its own schema
}

func newValidator(c *Chart) (*Validator, error) {
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
	return inOrder(schemaProblems(v.chart, data))
}

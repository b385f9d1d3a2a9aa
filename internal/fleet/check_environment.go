// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// checkEnvironment returns the findings of one environment that do not depend on others.
func (f *Fleet) checkEnvironment(r *Resolved, conflicts []values.Conflict) {
	here := []string{r.Name()}
	add := func(rule, severity, key string, origin values.Origin, text string) {
		r.Findings = append(r.Findings, Finding{Rule: rule, Severity: severity, Key: key, Origin: origin, Text: text, Environments: here})
	}
	for _, file := range r.files {
		for _, finding := range file.findings {
			finding.Environments = here
			r.Findings = append(r.Findings, finding)
		}
	}
	for _, layer := range r.inline {
		for _, finding := range append(f.layerFindings(layer.position), f.secretsIn(layer.root)...) {
			finding.Environments = here
			r.Findings = append(r.Findings, finding)
		}
	}
	for _, conflict := range conflicts {
		if conflict.Fatal {
			add(RuleNull, SeverityError, conflict.Path, conflict.Origin, conflict.Text)
		} else {
			add(RuleType, SeverityWarning, conflict.Path, conflict.Origin, conflict.Text)
		}
	}
	for _, required := range f.Required {
		if !required.Select.matches(r.Labels()) {
			continue
		}
		n := r.Values.At(required.Path)
		if n != nil && !isEmpty(n) && setByLayer(n) {
			continue
		}
		text := required.Path + " must be set by a layer"
		if n != nil && isEmpty(n) && setByLayer(n) {
			text = required.Path + " is empty, and must be set"
		}
		if required.Reason != "" {
			text += ": " + required.Reason
		}
		var origin values.Origin
		if n != nil && setByLayer(n) {
			origin = n.Origin()
		}
		add(RuleRequired, SeverityError, required.Path, origin, text)
	}
	if f.chart == nil {
		return
	}
	for _, problem := range f.chart.validator.Validate(r.Values.Map(), f.Chart.Defaults == "include") {
		if problem.Unknown && slices.ContainsFunc(r.Findings,
			func(known Finding) bool { return known.Rule == RuleUnknown && known.Key == problem.Path }) {
			continue
		}
		text := problem.Text
		if f.looksSecret(steps(problem.Path), fmt.Sprint(r.Values.At(problem.Path).Scalar())) {
			text = problem.Path + " does not fit the schema of the chart (its value is not shown, since it looks like a secret)"
		}
		add(RuleSchema, SeverityError, problem.Path, r.Values.At(problem.Path).Origin(), text)
	}
}

func isEmpty(n *values.Node) bool {
	if n.IsMap() || n.IsList() {
		return len(n.Items()) == 0
	}
	return n.Scalar() == nil || n.Scalar() == ""
}

// setByLayer reports that a layer sets a value, not only the chart.
func setByLayer(n *values.Node) bool {
	if n.Origin().Layer != chartLayer {
		return true
	}
	return slices.ContainsFunc(n.Items(), setByLayer)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// chartDiagnostic says that a chart cannot be had, at the attribute that names it.
func chartDiagnostic(err error) diag.Diagnostic {
	at, advice := path.Root("chart"), ""
	var source *chart.SourceError
	var missing *chart.NotFoundError
	var digest *chart.DigestError
	var invalid *chart.InvalidError
	var unauthorized *chart.UnauthorizedError
	var unreachable *chart.UnreachableError
	switch {
	case errors.As(err, &source):
		at, advice = at.AtName(source.Field), "Correct the attribute."
	case errors.As(err, &missing):
		advice = "Correct the chart's repository, name or version."
		switch {
		case missing.Name == "":
			at = at.AtName("path")
			advice = "Correct the path. A relative path starts at the directory in which Terraform runs; in a module write \"${path.module}/…\"."
		case missing.Version == "":
			at = at.AtName("name")
		default:
			at = at.AtName("version")
		}
	case errors.As(err, &digest):
		advice = "Nothing was changed. If a folder was edited after the plan, plan again. A version in a repository has to keep its content: " +
			"publish the other content under a new version."
	case errors.As(err, &invalid):
		advice = "Fix the chart; helm lint names what is wrong."
	case errors.As(err, &unauthorized):
		at, advice = at.AtName("repository"), "Set the username and password of this repository in registries of the provider configuration."
	case errors.As(err, &unreachable):
		at, advice = at.AtName("repository"),
			"Check the address, and whether this machine reaches it. A chart that was pulled before is taken from the cache."
	}
	detail := capitalized(err.Error()) + "."
	if advice != "" {
		detail += "\n\n" + advice
	}
	return diag.NewAttributeErrorDiagnostic(at, "Cannot get the chart", detail)
}

// valuesDiagnostics are the problems that the chart's schema and its known keys find in the values.
func valuesDiagnostics(c *chart.Chart, l layers) (diags diag.Diagnostics) {
	for _, problem := range c.ValidateValues(l.merged()) {
		text, source := problem.Text, "values or values_files"
		for name, secret := range map[string]map[string]any{"sensitive_values": l.sensitive, "values_wo": l.writeOnly} {
			if _, ok := values.Get(secret, problem.Path); !ok || problem.Path == "" {
				continue
			}
			source = name
			if !problem.Unknown {
				text = problem.Path + ": the (sensitive) value does not fit the chart's schema"
			}
		}
		summary := fmt.Sprintf("Chart %s %s does not accept the values", c.Name, c.Version)
		detail := fmt.Sprintf("%s\n\nCorrect it in %s.", ended(withoutSecrets(text, l)), source)
		if source == "sensitive_values" || source == "values_wo" {
			// Terraform quotes the line of the configuration that a path points at, with what is in it.
			diags.AddError(summary, detail)
			continue
		}
		diags.AddAttributeError(path.Root("values"), summary, detail)
	}
	return diags
}

// withoutSecrets masks every secret string in a text that may quote values.
func withoutSecrets(text string, l layers) string {
	const shortest = 4 // shorter ones would mask half of the text, and are no secrets
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		case string:
			if len(v) >= shortest {
				text = strings.ReplaceAll(text, v, object.MaskSecret)
			}
		}
	}
	walk(l.sensitive)
	walk(l.writeOnly)
	return text
}

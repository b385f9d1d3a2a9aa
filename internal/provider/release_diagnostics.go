// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
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
		// The sentence begins with the attribute's name, which keeps its case.
		return diag.NewAttributeErrorDiagnostic(at.AtName(source.Field), "Cannot get the chart",
			source.Error()+".\n\nCorrect chart."+source.Field+".")
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

// valuesDiagnostics are the problems that the chart's schema and its known keys find in the values. A problem that depends on a secret
// is told without what was found.
func valuesDiagnostics(c *chart.Chart, l layers) (diags diag.Diagnostics) {
	problems := c.ValidateValues(l.merged())
	if len(problems) == 0 {
		return nil
	}
	others, err := render.OtherSecrets(render.Spec{Chart: c, Values: l.public, Sensitive: l.sensitive, WriteOnly: l.writeOnly})
	if err != nil {
		diags.Append(chartDiagnostic(err))
		return diags
	}
	var found [][]chart.Problem
	for _, v := range others.Values {
		found = append(found, c.ValidateValues(v))
	}
	for _, problem := range problems {
		if problem.Unknown && l.onlyVersionAt(problem.Path) {
			diags.AddAttributeError(path.Root("version_path"), fmt.Sprintf("Chart %s %s has no value at version_path", c.Name, c.Version),
				fmt.Sprintf("version = %q is written to the values at version_path = %q: %s\n\nSet version_path to the key from which the "+
					"chart's templates take the image tag.", l.version, l.versionPath, ended(problem.Text)))
			continue
		}
		text, source := problem.Text, "values or values_files"
		for name, secret := range map[string]map[string]any{"sensitive_values": l.sensitive, "values_wo": l.writeOnly} {
			if _, ok := values.Get(secret, problem.Path); !ok || problem.Path == "" {
				continue
			}
			source = name
		}
		depends := slices.ContainsFunc(found, func(other []chart.Problem) bool { return !slices.Contains(other, problem) })
		if depends && source == "values or values_files" {
			source = "sensitive_values or values_wo"
		}
		switch secret := strings.HasPrefix(source, "sensitive_values") || source == "values_wo"; {
		case depends && !others.Public(problem.Path):
			text = "A sensitive value, or a key of one, does not fit the chart's schema"
		case depends && problem.Path == "":
			text = "The (sensitive) values do not fit the chart's schema"
		case depends || secret && !problem.Unknown:
			text = problem.Path + ": the (sensitive) value does not fit the chart's schema"
		}
		summary := fmt.Sprintf("Chart %s %s does not accept the values", c.Name, c.Version)
		detail := fmt.Sprintf("%s\n\nCorrect it in %s.", ended(withoutSecrets(text, l)), source)
		if source != "values or values_files" {
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

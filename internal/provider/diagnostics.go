// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// errorDiagnostic says that something could not be done to an object in an environment, for resources that have the
// environment as an attribute. verb and what make the summary: "Cannot upgrade release data-collection in client-a/prod".
func errorDiagnostic(verb, what string, handle environment.Handle, err error) diag.Diagnostic {
	return diagnostic(path.Root("environment"), verb, what, handle, err)
}

// diagnostic is the one place where domain errors become diagnostics. base is where the environment's coordinates are.
func diagnostic(base path.Path, verb, what string, handle environment.Handle, err error) diag.Diagnostic {
	summary := fmt.Sprintf("Cannot %s %s", verb, what)
	if handle.Client != "" {
		summary += " in " + handle.Name()
	}
	detail := detailOf(err)
	if at, ok := attributeOf(base, err); ok {
		return diag.NewAttributeErrorDiagnostic(at, summary, detail)
	}
	return diag.NewErrorDiagnostic(summary, detail)
}

// detailOf gives three short paragraphs: what happened, what was observed, what to do.
func detailOf(err error) string {
	if typed, ok := explain.As(err); ok {
		happened, observed, advice := typed.Explain()
		var paragraphs []string
		for _, paragraph := range []string{happened, observed, advice} {
			if paragraph != "" {
				paragraphs = append(paragraphs, paragraph)
			}
		}
		return strings.Join(paragraphs, "\n\n")
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Sprintf("Terraform was interrupted before this was done.\n\n%s.\n\nApply again: it resumes from what is there.",
			capitalized(err.Error()))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("This was not done in time.\n\n%s.\n\nApply again, with longer timeouts if it needs more time.",
			capitalized(err.Error()))
	}
	return capitalized(err.Error()) + "."
}

// attributeOf is the attribute that an error is about, where there is one.
func attributeOf(base path.Path, err error) (path.Path, bool) {
	switch typed := errorsFirst(err).(type) {
	case *route.HeaderClashError:
		return path.Root("headers").AtMapKey(typed.Header), true
	case *cluster.NoCoordinateError:
		return base.AtName("cluster"), true
	case *cluster.UnknownContextError, *cluster.UnknownConnectionError, *cluster.KubeconfigError, *cluster.MismatchError:
		return base.AtName("cluster").AtName("context"), true
	case *cluster.UnsupportedError:
		return base.AtName("cluster").AtName("eks"), true
	case *environment.WorkspaceError:
		return base.AtName("client"), true
	case *environment.NamespaceForeignError, *environment.NamespaceTerminatingError:
		return base.AtName("namespace").AtName("name"), true
	default:
		return path.Path{}, false
	}
}

// errorsFirst is the first error in the chain that explains itself.
func errorsFirst(err error) error {
	if typed, ok := explain.As(err); ok {
		return typed
	}
	return err
}

// staleDiagnostic warns that the state shows what was last seen.
func staleDiagnostic(what string, handle environment.Handle, err error) diag.Diagnostic {
	return diag.NewWarningDiagnostic(
		fmt.Sprintf("The state of %s in %s may be out of date", what, handle.Name()),
		"The cluster could not be asked, so the state keeps what was last seen.\n\n"+detailOf(err))
}

// pathless drops the attribute of a diagnostic.
func pathless(d diag.Diagnostic) diag.Diagnostic {
	if d.Severity() == diag.SeverityWarning {
		return diag.NewWarningDiagnostic(d.Summary(), d.Detail())
	}
	return diag.NewErrorDiagnostic(d.Summary(), d.Detail())
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// observeForCreate says what is there under the name of a release that is created; nil with an error among the diagnostics, or where it
// could not be seen.
func observeForCreate(
	ctx context.Context, resp *resource.ModifyPlanResponse, target release.Target, taking ownership.Taking,
) *release.Observation {
	seen, err := release.ObserveForCreate(ctx, target, taking)
	var foreignRelease *ownership.Error
	var foreign *record.ForeignError
	var newer *record.NewerError
	switch {
	case errors.As(err, &foreignRelease), errors.As(err, &foreign), errors.As(err, &newer):
		resp.Diagnostics.Append(errorDiagnostic("install", "release "+target.Name, target.Handle, err))
		return nil
	case err != nil:
		return nil // The dry run fails likewise, and is reported.
	}
	return seen
}

// warnOfAnother warns where a release that is created exists already, or would be refused.
func warnOfAnother(resp *resource.ModifyPlanResponse, target release.Target, seen *release.Observation, key, retryToken string) {
	if seen.Working() {
		resp.Diagnostics.AddWarning("Release "+target.Name+" exists already, and is taken over",
			fmt.Sprintf("Revision %d of it is deployed in namespace %s; chart %s %s, put there by %s.\n\n"+
				"That is as it should be where this plan replaces it, or where its state was lost. Where the resource only got another name in the "+
				"configuration, a moved block keeps the release running. Where another slipway_release has this name, this one would overwrite it: "+
				"give this one another name.",
				seen.Deployed, target.Handle.Namespace, seen.Record.Chart.Name, seen.Record.Chart.Version, seen.Record.Holder))
	}
	// A create has no state from which the plan could take it, so it is no planned attribute here.
	if q := seen.Record.Quarantined(key, retryToken, seen.Cleared, time.Now()); q != nil {
		resp.Diagnostics.AddWarning("Release "+target.Name+" is quarantined: the apply will refuse it",
			quarantineText(*q)+".\n\nChange the version, the chart, the values or retry_token, or wait.")
	}
}

// try asks the API server what it would say, and passes it on as errors and warnings.
func (c change) try(ctx context.Context, resp *resource.ModifyPlanResponse, target release.Target,
	previous map[object.Key]string, next *render.Result,
) {
	advice := "Change the chart or its values, or what refuses them in the cluster." + destroyInSpite(c.state != nil)
	what := "release " + target.Name
	options := dryrun.Options{Taking: c.taking}
	if c.state != nil {
		status := c.state.Status.ValueString()
		options.Outside = status == statusModified
		options.Attempted = status != statusModified && status != statusDeployed
	}
	result, err := dryrun.Run(ctx, target, previous, next, options)
	var missing *environment.NamespaceMissingError
	var foreign *environment.NamespaceForeignError
	var ownership *ownership.Error
	switch {
	case errors.As(err, &missing):
		resp.Diagnostics.AddWarning("Release "+target.Name+" was not validated on the cluster",
			fmt.Sprintf("Namespace %s does not exist yet, so what admission, quota or immutable fields would refuse shows only in the apply.",
				target.Handle.Namespace))
		return
	case errors.As(err, &foreign), errors.As(err, &ownership):
		resp.Diagnostics.Append(errorDiagnostic("plan", what, target.Handle, err))
		return
	case err != nil:
		resp.Diagnostics.Append(notValidated(target.Name, err))
		return
	}
	for _, refusal := range result.Refusals {
		resp.Diagnostics.AddError(
			fmt.Sprintf("Cannot apply %s of %s in %s/%s", refusal.Object, what, target.Handle.Client, target.Handle.Stage),
			fmt.Sprintf("The API server of the cluster refuses the object in a dry run (%s):\n\n%s\n\n%s",
				refusal.Reason, refusal.Message, advice))
	}
	c.warnOfTakeover(resp, target, result.Takeovers)
	if lines := overwriteLines(result.Overwrites); len(lines) > 0 {
		resp.Diagnostics.AddWarning("Release "+target.Name+" will overwrite changes made in the cluster",
			strings.Join(lines, "\n")+"\n\nThese fields differ live from what was rendered last; the apply overwrites them. Take them "+
				"into the values to keep them.")
	}
	if len(result.Skipped) > 0 {
		resp.Diagnostics.AddWarning("Release "+target.Name+" was validated only in part", strings.Join(result.Skipped, "\n"))
	}
}

// destroyInSpite is the advice for an error that also stops a destroy, which refreshes first. What does not exist yet needs none.
func destroyInSpite(exists bool) string {
	if !exists {
		return ""
	}
	return " To destroy in spite of this error, run terraform destroy -refresh=false."
}

// notValidated says why a plan shows nothing of what the cluster would say.
func notValidated(name string, err error) diag.Diagnostic {
	return diag.NewWarningDiagnostic("Release "+name+" was not validated on the cluster",
		"Everything that needs no cluster is planned. What admission, quota or immutable fields would refuse shows only in the "+
			"apply.\n\n"+detailOf(err))
}

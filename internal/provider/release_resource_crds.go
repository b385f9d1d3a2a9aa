// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// What slipway_release does with CustomResourceDefinitions in a chart's crds folder.
const (
	crdsCreate        = "create"
	crdsCreateReplace = "create_replace"
	crdsSkip          = "skip"
)

// crdAttributes are those of slipway_release that are about CustomResourceDefinitions.
func crdAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"crds": schema.StringAttribute{
			MarkdownDescription: "What to do with CustomResourceDefinitions in the chart's `crds/` folder: `\"create\"` those that do " +
				"not exist yet " +
				"(default), `\"create_replace\"` to replace those that exist as well, or `\"skip\"`. They belong to the whole cluster: " +
				"where several clients' releases share one, " +
				"let one release of the newest chart replace them and set `\"create\"` or `\"skip\"` in the others. They are never removed " +
				"and not rolled back, and a version in which objects may be stored is " +
				"never dropped: that is an error in the plan.",
			Optional:   true,
			Computed:   true,
			Default:    stringdefault.StaticString(defaultCRDs),
			Validators: []validator.String{stringvalidator.OneOf(crdsCreate, crdsCreateReplace, crdsSkip)},
		},
		"custom_resource_definitions": schema.MapAttribute{
			MarkdownDescription: "With `crds = \"create_replace\"`: the CustomResourceDefinitions that the chart brings, a map from " +
				"`widgets.example.com` to their versions and a digest of " +
				"their content, so that the plan shows when they change. Null otherwise.",
			Computed:    true,
			ElementType: types.StringType,
		},
	}
}

// definitionsValue is the attribute "custom_resource_definitions".
func definitionsValue(definitions map[string]string) types.Map {
	if len(definitions) == 0 {
		return types.MapNull(types.StringType)
	}
	elements := make(map[string]attr.Value, len(definitions))
	for name, text := range definitions {
		elements[name] = types.StringValue(text)
	}
	return types.MapValueMust(types.StringType, elements)
}

// planDefinitions plans what of a chart's CustomResourceDefinitions changes, from the chart alone.
func (c change) planDefinitions(resp *resource.ModifyPlanResponse) (value types.Map, lines []string) {
	next, err := render.Definitions(c.spec)
	if err != nil {
		resp.Diagnostics.AddError("Cannot read the CustomResourceDefinitions of chart "+c.spec.Chart.Name,
			capitalized(err.Error())+".\n\nFix the chart.")
		return types.MapNull(types.StringType), nil
	}
	previous := map[string]string{}
	if c.state != nil {
		previous = driftTexts(c.state.Definitions)
	}
	versions := func(text string) string {
		v, _, _ := strings.Cut(text, "; ")
		return v
	}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		was, known := previous[name]
		switch {
		case was == next[name]:
		case !known:
			lines = append(lines,
				fmt.Sprintf("CustomResourceDefinition/%s: created or replaced for the whole cluster, %s", name, versions(next[name])))
		case versions(was) == versions(next[name]):
			lines = append(lines,
				fmt.Sprintf("CustomResourceDefinition/%s: replaced for the whole cluster, %s with another content", name, versions(was)))
		default:
			lines = append(lines,
				fmt.Sprintf("CustomResourceDefinition/%s: replaced for the whole cluster, %s → %s", name, versions(was), versions(next[name])))
		}
	}
	return definitionsValue(next), lines
}

// tryDefinitions asks the cluster what replacing the chart's CustomResourceDefinitions would do.
func (r *ReleaseResource) tryDefinitions(ctx context.Context, diags *diag.Diagnostics, target release.Target, c change) {
	result, err := dryrun.Definitions(ctx, target, c.spec)
	if err != nil {
		diags.Append(notValidated(target.Name, err))
		return
	}
	for _, refusal := range result.Refusals {
		_, _, _, name := refusal.Object.Parts()
		diags.AddError(fmt.Sprintf("Cannot replace CustomResourceDefinition %s for release %s in %s", name, target.Name, target.Handle.Name()),
			strings.TrimSpace(capitalized(refusal.Message)+"\n\n"+strings.TrimSpace(destroyInSpite(c.state != nil))))
	}
	if len(result.Changes) > 0 {
		diags.AddWarning("Release "+target.Name+" writes CustomResourceDefinitions of the whole cluster",
			strings.Join(result.Changes, "\n")+"\n\nAll releases on the cluster that have such objects see the change, those of other clients too.")
	}
	if len(result.Skipped) > 0 {
		diags.AddWarning("CustomResourceDefinitions of release "+target.Name+" were validated only in part", strings.Join(result.Skipped, "\n"))
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/canary"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// ImportState imports "<context>/<namespace>/<name>", parsed from the right, because a context may contain slashes. Where the
// traffic is divided is on the record. A split without one was made by hand: "?<key>=<value>&…" behind it may say where. An
// import writes nothing: the next apply takes the route over, as it is.
func (r *CanaryResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id, query, _ := strings.Cut(req.ID, "?")
	s, diags := importForm{noun: canaryNoun, last: "name", example: "data-collection"}.parse(id)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	source, err := canarySource(query)
	if err != nil {
		resp.Diagnostics.AddError("Cannot import canary split "+req.ID, fmt.Sprintf("The import id %q: %s.", req.ID, err))
		return
	}
	steps, _ := canaryBlocks()["step"].(schema.ListNestedBlock)
	model := canaryModel{
		Name: types.StringValue(s.name), Headers: types.MapNull(types.StringType),
		PlannedSteps: types.ListNull(types.StringType),
		Step:         types.ListNull(steps.NestedObject.Type()), Analysis: types.ListNull(canaryAnalysisBlock().NestedObject.Type()),
		Timeouts: nullTimeouts(),
	}
	p, uid, diags := openToImport(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	handle := p.subject.handle
	var seen *canary.Observed
	found, err := canary.Find(ctx, p.live, handle, s.name, source)
	if err == nil {
		seen, err = canary.Observe(ctx, found.Target, found.Instance, time.Now())
	}
	if err != nil {
		resp.Diagnostics.Append(pathless(p.subject.failed("import", err)))
		return
	}
	model.ID, model.Environment, model.ClusterUID = types.StringValue(found.Instance), handleValue(handle), types.StringValue(uid)
	if found.Instance == "" {
		model.ID = types.StringValue(uuid.NewString())
	}
	if found.Target.Adopt != "" {
		resp.Diagnostics.Append(keepAdopted(ctx, resp.Private, found.Target.Adopt)...)
	}
	if len(found.Left) > 0 {
		resp.Diagnostics.AddWarning("Not all that leads to the canary of "+s.name+" in "+handle.Name()+" is part of the split",
			fmt.Sprintf("Requests go to the canary also by %s, which does something else than to send it the requests with a header, or "+
				"is not directly before the route that is divided.\n\n"+
				"It belongs to another owner, and stays as it is.", strings.Join(found.Left, ", ")))
	}
	resp.Diagnostics.Append(model.setRoute(ctx, found.Target.Route)...)
	model.observe(seen)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

// canarySource reads what is behind the question mark of an import id.
func canarySource(query string) (source route.Source, err error) {
	given, err := url.ParseQuery(query)
	if err != nil {
		return source, fmt.Errorf("what is behind the question mark cannot be read: %w", err)
	}
	into := map[string]*string{
		"virtual_service": &source.VirtualService, "route": &source.Route, "http_route": &source.HTTPRoute, "rule": &source.Rule,
		"stable": &source.Stable, "canary": &source.Canary, "rule_index": nil,
	}
	for key, values := range given {
		text, known := into[key]
		switch {
		case !known:
			return source, fmt.Errorf("%q is none of the keys virtual_service, route, http_route, rule, rule_index, stable and canary", key)
		case len(values) != 1 || values[0] == "":
			return source, fmt.Errorf("%s needs one value", key)
		case text != nil:
			*text = values[0]
		default:
			at, err := strconv.Atoi(values[0])
			if err != nil || at < 0 {
				return source, fmt.Errorf("rule_index is %q, and must be a number from 0", values[0])
			}
			source.RuleIndex = &at
		}
	}
	return source, nil
}

// keyAdopted is where private state has the UID of the object that was imported, until an apply has taken it over.
const keyAdopted = "adopt"

// adoptedObject is empty where nothing is to be taken over.
func adoptedObject(ctx context.Context, private privateReader) (uid string, diags diag.Diagnostics) {
	text, diags := private.GetKey(ctx, keyAdopted)
	if len(text) == 0 || diags.HasError() {
		return "", diags
	}
	if err := json.Unmarshal(text, &uid); err != nil {
		diags.AddError("Cannot read the private state of the canary split", err.Error()+". Import it again.")
	}
	return uid, diags
}

func keepAdopted(ctx context.Context, private privateWriter, uid string) (diags diag.Diagnostics) {
	text, err := json.Marshal(uid)
	if err != nil {
		diags.AddError("Cannot write the private state of the canary split", err.Error())
		return diags
	}
	return private.SetKey(ctx, keyAdopted, text)
}

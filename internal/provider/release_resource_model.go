// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// releaseModel is slipway_release as Terraform sees it.
type releaseModel struct {
	ID              types.String   `tfsdk:"id"`
	Environment     types.Object   `tfsdk:"environment"`
	Name            types.String   `tfsdk:"name"`
	Chart           types.Object   `tfsdk:"chart"`
	Version         types.String   `tfsdk:"version"`
	VersionPath     types.String   `tfsdk:"version_path"`
	ValuesFiles     types.List     `tfsdk:"values_files"`
	Values          types.Dynamic  `tfsdk:"values"`
	SensitiveValues types.Dynamic  `tfsdk:"sensitive_values"`
	ValuesWO        types.Dynamic  `tfsdk:"values_wo"`
	ValuesWOVersion types.Int64    `tfsdk:"values_wo_version"`
	CRDs            types.String   `tfsdk:"crds"`
	OnPending       types.String   `tfsdk:"on_pending"`
	MaxHistory      types.Int64    `tfsdk:"max_history"`
	Timeouts        timeouts.Value `tfsdk:"timeouts"`

	AllowClusterMove types.String `tfsdk:"allow_cluster_move"`
	LookupNamespaces types.Set    `tfsdk:"lookup_namespaces"`

	TakeOwnership     types.Bool `tfsdk:"take_ownership"`
	TakeOwnershipFrom types.List `tfsdk:"take_ownership_from"`

	Analysis   types.List   `tfsdk:"analysis"`
	SmokeTest  types.List   `tfsdk:"smoke_test"`
	Acceptance types.List   `tfsdk:"acceptance"`
	Rollback   types.List   `tfsdk:"rollback"`
	RetryToken types.String `tfsdk:"retry_token"`
	MaxApply   types.String `tfsdk:"max_apply"`

	Revision       types.Int64  `tfsdk:"revision"`
	Status         types.String `tfsdk:"status"`
	ClusterUID     types.String `tfsdk:"cluster_uid"`
	ChartVersion   types.String `tfsdk:"chart_version"`
	ChartDigest    types.String `tfsdk:"chart_digest"`
	ValuesDigest   types.String `tfsdk:"values_digest"`
	ManifestDigest types.String `tfsdk:"manifest_digest"`
	Objects        types.Map    `tfsdk:"objects"`
	ChangeSummary  types.List   `tfsdk:"change_summary"`
	Findings       types.List   `tfsdk:"findings"`

	Verification  types.String `tfsdk:"verification"`
	KnownGood     types.String `tfsdk:"known_good"`
	RollbackReady types.String `tfsdk:"rollback_ready"`
	Quarantined   types.String `tfsdk:"quarantined"`

	DetectDrift  types.Bool `tfsdk:"detect_drift"`
	CorrectDrift types.Bool `tfsdk:"correct_drift"`
	DriftIgnore  types.List `tfsdk:"drift_ignore"`
	Drift        types.Map  `tfsdk:"drift"`
	Definitions  types.Map  `tfsdk:"custom_resource_definitions"`
}

func (m releaseModel) subject(ctx context.Context) (subject, diag.Diagnostics) {
	return subjectIn(ctx, m.Environment, "release", "name", m.Name, m.ClusterUID)
}

// attributes are those that a plan may set, by name.
func (m releaseModel) attributes() map[string]attr.Value {
	return map[string]attr.Value{
		"id": m.ID, "name": m.Name, "values": m.Values, "sensitive_values": m.SensitiveValues,
		"revision": m.Revision, "status": m.Status, "cluster_uid": m.ClusterUID, "chart_version": m.ChartVersion, "chart_digest": m.ChartDigest,
		"values_digest": m.ValuesDigest, "manifest_digest": m.ManifestDigest, "objects": m.Objects, "change_summary": m.ChangeSummary,
		"findings":     m.Findings,
		"verification": m.Verification, "known_good": m.KnownGood, "rollback_ready": m.RollbackReady, "quarantined": m.Quarantined,
		"drift": m.Drift, "custom_resource_definitions": m.Definitions,
	}
}

// chartModel is the attribute "chart".
type chartModel struct {
	Path       types.String `tfsdk:"path"`
	Repository types.String `tfsdk:"repository"`
	Name       types.String `tfsdk:"name"`
	Version    types.String `tfsdk:"version"`
}

var chartAttributeTypes = map[string]attr.Type{
	"path": types.StringType, "repository": types.StringType, "name": types.StringType, "version": types.StringType,
}

// source returns the chart source; known is false while a part of it is not known yet.
func (m releaseModel) source(ctx context.Context) (source chart.Source, known bool, diags diag.Diagnostics) {
	if m.Chart.IsUnknown() {
		return chart.Source{}, false, nil
	}
	var c chartModel
	diags = m.Chart.As(ctx, &c, basetypes.ObjectAsOptions{})
	if diags.HasError() || c.Path.IsUnknown() || c.Repository.IsUnknown() || c.Name.IsUnknown() || c.Version.IsUnknown() {
		return chart.Source{}, false, diags
	}
	return chart.Source{
		Path:       c.Path.ValueString(),
		Repository: c.Repository.ValueString(),
		Name:       c.Name.ValueString(),
		Version:    c.Version.ValueString(),
	}, true, diags
}

// recordedDigest is the digest that the same chart of a repository had when it was planned before, with which it is taken from
// the cache without a request. A folder or archive has to be read, since it may have been edited.
func (m releaseModel) recordedDigest(source chart.Source, state *releaseModel) string {
	if state == nil || source.Path != "" || !m.Chart.Equal(state.Chart) {
		return ""
	}
	return state.ChartDigest.ValueString()
}

// layers are the values of one release as configured.
type layers struct {
	// public is values_files, version and values, merged; sensitive and writeOnly come over it.
	public, sensitive, writeOnly map[string]any
	digest                       string
	// version is written to versionPath; both are empty if no version is set. configured is public without it.
	version, versionPath string
	configured           map[string]any
}

// onlyVersionAt reports that at a dotted path the values contain nothing but the version.
func (l layers) onlyVersionAt(at string) bool {
	if l.version == "" || at == "" || at != l.versionPath && !strings.HasPrefix(l.versionPath, at+".") {
		return false
	}
	for _, layer := range []map[string]any{l.configured, l.sensitive, l.writeOnly} {
		if _, set := values.Get(layer, at); set {
			return false
		}
	}
	return true
}

// merged is what the chart gets.
func (l layers) merged() map[string]any { return values.Merge(l.public, l.sensitive, l.writeOnly) }

// layers reads and merges the configured values. Where a part is not known yet, known is false and the layers are empty.
// writeOnly comes from the configuration, since plan and state never hold it.
func (m releaseModel) layers(ctx context.Context, writeOnly types.Dynamic) (l layers, known bool, diags diag.Diagnostics) {
	known = !m.ValuesFiles.IsUnknown() && !m.Version.IsUnknown() && !m.VersionPath.IsUnknown()
	read := func(name string, v types.Dynamic) map[string]any {
		out, ok, d := valuesObject(ctx, path.Root(name), v)
		diags.Append(d...)
		known = known && ok
		return out
	}
	inline := read("values", m.Values)
	l.sensitive = read("sensitive_values", m.SensitiveValues)
	l.writeOnly = read("values_wo", writeOnly)
	if !known || diags.HasError() {
		return layers{}, false, diags
	}

	var files []types.String
	diags.Append(m.ValuesFiles.ElementsAs(ctx, &files, false)...)
	var all []map[string]any
	for i, f := range files {
		if f.IsUnknown() {
			return layers{}, false, diags
		}
		content, err := values.ReadFile(f.ValueString())
		if err != nil {
			diags.AddAttributeError(path.Root("values_files").AtListIndex(i), "Cannot read values file "+f.ValueString(),
				fmt.Sprintf("%s.\n\nFix the file, or take it out of values_files.", err))
			continue
		}
		all = append(all, content)
	}
	if diags.HasError() {
		return layers{}, false, diags
	}
	l.public = values.Merge(all...)
	l.configured = values.Merge(l.public, inline)
	if v := m.Version.ValueString(); v != "" {
		public, err := values.Set(l.public, m.VersionPath.ValueString(), v)
		if err != nil {
			diags.AddAttributeError(path.Root("version_path"), "Cannot write the version into the values", err.Error())
			return layers{}, false, diags
		}
		if other, set := values.Get(inline, m.VersionPath.ValueString()); set && other != v {
			diags.AddAttributeError(path.Root("values"), "Two versions for one image",
				fmt.Sprintf("version = %q is written to the values at %s, where values says %q.\n\nSet one of the two.", v, m.VersionPath.ValueString(),
					fmt.Sprint(other)))
			return layers{}, false, diags
		}
		l.public, l.version, l.versionPath = public, v, m.VersionPath.ValueString()
	}
	l.public = values.Merge(l.public, inline)
	digest, err := digestOf(l.public)
	if err != nil {
		diags.AddAttributeError(path.Root("values"), "Cannot encode the values", err.Error())
		return layers{}, false, diags
	}
	l.digest = digest
	return l, true, diags
}

// valuesObject turns a dynamic attribute into a map; null is an empty one.
func valuesObject(ctx context.Context, at path.Path, v types.Dynamic) (out map[string]any, known bool, diags diag.Diagnostics) {
	if v.IsNull() || v.IsUnderlyingValueNull() {
		return map[string]any{}, true, nil
	}
	if v.IsUnknown() || v.IsUnderlyingValueUnknown() {
		return nil, false, nil
	}
	plain, known, diags := dynamicToGo(ctx, v.UnderlyingValue())
	if diags.HasError() || !known {
		return nil, known, withPath(at, diags)
	}
	out, ok := plain.(map[string]any)
	if !ok {
		diags.AddAttributeError(at, "Values must be an object",
			fmt.Sprintf("Found %s where an object such as { image = { tag = \"v1.2.0\" } } is expected.", kindOf(plain)))
		return nil, false, diags
	}
	return out, true, diags
}

// withPath gives an attribute path to diagnostics that have none.
func withPath(at path.Path, diags diag.Diagnostics) diag.Diagnostics {
	out := make(diag.Diagnostics, 0, len(diags))
	for _, d := range diags {
		if _, ok := d.(diag.DiagnosticWithPath); !ok {
			d = diag.WithPath(at, d)
		}
		out = append(out, d)
	}
	return out
}

// spec is what package release renders.
func (m releaseModel) spec(c *chart.Chart, source chart.Source, l layers) release.Spec {
	return release.Spec{
		Chart:       c,
		Source:      source,
		Version:     m.Version.ValueString(),
		Values:      l.public,
		Sensitive:   l.sensitive,
		WriteOnly:   l.writeOnly,
		CreateCRDs:  m.CRDs.ValueString() != crdsSkip,
		ReplaceCRDs: m.CRDs.ValueString() == crdsCreateReplace,

		LookupNamespaces: m.lookupNamespaces(),
	}
}

// sameInputs reports whether nothing that is rendered or installed differs from what state holds. Write-only values are
// compared by their version.
func (m releaseModel) sameInputs(ctx context.Context, state releaseModel) bool {
	return m.ChartDigest.Equal(state.ChartDigest) &&
		m.ValuesDigest.Equal(state.ValuesDigest) &&
		m.Version.Equal(state.Version) &&
		m.VersionPath.Equal(state.VersionPath) &&
		m.ValuesWOVersion.Equal(state.ValuesWOVersion) &&
		m.CRDs.Equal(state.CRDs) &&
		dynamicEqual(ctx, m.SensitiveValues, state.SensitiveValues)
}

// sameVerification reports whether a release is verified and rolled back as the state says.
func (m releaseModel) sameVerification(state releaseModel) bool {
	return m.Analysis.Equal(state.Analysis) && m.SmokeTest.Equal(state.SmokeTest) && m.Acceptance.Equal(state.Acceptance) &&
		m.Rollback.Equal(state.Rollback)
}

// knownObjects returns the entries of a planned map that are known; nil where the whole map is unknown or null.
func knownObjects(m types.Map) (map[object.Key]string, error) {
	if m.IsUnknown() || m.IsNull() {
		return nil, nil
	}
	out := make(map[object.Key]string, len(m.Elements()))
	for k, v := range m.Elements() {
		s, ok := v.(types.String)
		if !ok {
			return nil, fmt.Errorf("object %s is stored as %s, not as a string", k, reflect.TypeOf(v))
		}
		if !s.IsUnknown() && !s.IsNull() {
			out[object.Key(k)] = s.ValueString()
		}
	}
	return out, nil
}

// objectsValue is the attribute "objects"; volatile entries are unknown.
func objectsValue(objects map[object.Key]string, volatile map[object.Key]string) types.Map {
	elements := make(map[string]attr.Value, len(objects))
	for k, json := range objects {
		if _, ok := volatile[k]; ok {
			elements[string(k)] = types.StringUnknown()
			continue
		}
		elements[string(k)] = types.StringValue(json)
	}
	return types.MapValueMust(types.StringType, elements)
}

// digestOf is the digest of public values.
func digestOf(v map[string]any) (string, error) {
	canonical, err := object.Canonical(v)
	if err != nil {
		return "", err
	}
	return object.Digest(map[object.Key]string{"values": canonical}), nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
)

// migrationModel is slipway_migration.
type migrationModel struct {
	ID                types.String   `tfsdk:"id"`
	Environment       types.Object   `tfsdk:"environment"`
	Name              types.String   `tfsdk:"name"`
	Directory         types.String   `tfsdk:"directory"`
	Commands          types.Object   `tfsdk:"commands"`
	Check             types.List     `tfsdk:"check"`
	Validate          types.List     `tfsdk:"validate"`
	Kind              types.String   `tfsdk:"kind"`
	PostgresVersion   types.Int64    `tfsdk:"postgres_version"`
	SmallTables       types.List     `tfsdk:"small_tables"`
	Acknowledge       types.List     `tfsdk:"acknowledge"`
	Image             types.String   `tfsdk:"image"`
	ImagePullSecrets  types.List     `tfsdk:"image_pull_secrets"`
	DatabaseURL       types.String   `tfsdk:"database_url_wo"`
	CredentialsSecret types.Object   `tfsdk:"credentials_secret"`
	Runner            types.String   `tfsdk:"runner"`
	LockTimeout       types.String   `tfsdk:"lock_timeout"`
	StatementTimeout  types.String   `tfsdk:"statement_timeout"`
	Baseline          types.Int64    `tfsdk:"baseline"`
	SafeAfter         types.String   `tfsdk:"safe_after"`
	Release           types.String   `tfsdk:"release"`
	Soak              types.String   `tfsdk:"soak"`
	AlsoUsedBy        types.Map      `tfsdk:"also_used_by"`
	OnBlocked         types.String   `tfsdk:"on_blocked"`
	AllowClusterMove  types.String   `tfsdk:"allow_cluster_move"`
	Timeouts          timeouts.Value `tfsdk:"timeouts"`

	ClusterUID    types.String `tfsdk:"cluster_uid"`
	Files         types.Map    `tfsdk:"files"`
	Checks        types.Map    `tfsdk:"checks"`
	Applied       types.Map    `tfsdk:"applied"`
	Pending       types.List   `tfsdk:"pending"`
	SchemaVersion types.String `tfsdk:"schema_version"`
	Phases        types.Map    `tfsdk:"phases"`
	Findings      types.List   `tfsdk:"findings"`
	BlockedBy     types.List   `tfsdk:"blocked_by"`
	Recorded      types.Bool   `tfsdk:"recorded"`
}

type acknowledgeModel struct {
	Rule   types.String `tfsdk:"rule"`
	Reason types.String `tfsdk:"reason"`
	File   types.String `tfsdk:"file"`
	Object types.String `tfsdk:"object"`
	Until  types.String `tfsdk:"until"`
}

func (m migrationModel) contract() bool { return m.Kind.ValueString() == kindContract }

func (m migrationModel) what() string { return "migration " + m.Name.ValueString() }

func (m migrationModel) subject(ctx context.Context) (subject, diag.Diagnostics) {
	return subjectIn(ctx, m.Environment, "migration", "name", m.Name, m.ClusterUID)
}

// gate is nil for an expand migration.
func (m migrationModel) gate(ctx context.Context) (*job.Gate, diag.Diagnostics) {
	if !m.contract() {
		return nil, nil
	}
	gate := &job.Gate{SafeAfter: m.SafeAfter.ValueString(), Release: m.Release.ValueString()}
	if text := m.Soak.ValueString(); text != "" {
		soak, err := time.ParseDuration(text)
		if err != nil {
			return nil, diag.Diagnostics{diag.NewAttributeErrorDiagnostic(path.Root("soak"), "Not a duration", err.Error())}
		}
		gate.Soak = soak
	}
	diags := m.AlsoUsedBy.ElementsAs(ctx, &gate.AlsoUsedBy, false)
	return gate, diags
}

// lintOptions are for the linter. known is false while a part is not known yet.
func (m migrationModel) lintOptions(ctx context.Context) (options lint.Options, known bool, diags diag.Diagnostics) {
	options = lint.Options{Postgres: int(m.PostgresVersion.ValueInt64()), Contract: m.contract()}
	if m.PostgresVersion.IsUnknown() || !wholly(m.SmallTables) || !wholly(m.Acknowledge) || m.Baseline.IsUnknown() {
		return options, false, nil
	}
	diags = m.SmallTables.ElementsAs(ctx, &options.SmallTables, false)
	var accepted []acknowledgeModel
	diags.Append(m.Acknowledge.ElementsAs(ctx, &accepted, false)...)
	for i, a := range accepted {
		entry := lint.Acknowledgement{
			File:   a.File.ValueString(),
			Rule:   a.Rule.ValueString(),
			Object: a.Object.ValueString(),
			Reason: a.Reason.ValueString(),
		}
		if text := a.Until.ValueString(); text != "" {
			until, err := time.Parse(time.DateOnly, text)
			if err != nil {
				diags.AddAttributeError(path.Root("acknowledge").AtListIndex(i).AtName("until"), "Not a day",
					fmt.Sprintf("%q is no day.\n\nWrite it as 2027-03-31.", text))
			}
			entry.Until = until
		}
		options.Acknowledgements = append(options.Acknowledgements, entry)
	}
	return options, true, diags
}

// appliedFiles are the files of the state, or of a plan in which they are known.
func (m migrationModel) appliedFiles(ctx context.Context) (map[string]string, diag.Diagnostics) {
	out := map[string]string{}
	if m.Applied.IsNull() || m.Applied.IsUnknown() || !m.Commands.IsNull() {
		return out, nil
	}
	return out, m.Applied.ElementsAs(ctx, &out, false)
}

// options are for an apply.
func (m migrationModel) options(ctx context.Context) (job.Options, diag.Diagnostics) {
	out := job.Options{Image: m.Image.ValueString(), Baseline: m.Baseline.ValueInt64()}
	diags := m.ImagePullSecrets.ElementsAs(ctx, &out.PullSecrets, false)
	if !m.CredentialsSecret.IsNull() {
		var c credentialsModel
		diags.Append(m.CredentialsSecret.As(ctx, &c, basetypes.ObjectAsOptions{})...)
		out.Credentials = &job.SecretKey{Name: c.Name.ValueString(), Key: c.Key.ValueString()}
	}
	gate, d := m.gate(ctx)
	diags.Append(d...)
	out.Gate = gate
	out.Direct = m.Runner.ValueString() == runnerDirect
	out.LockTimeout = durationOf(&diags, "lock_timeout", m.LockTimeout)
	out.StatementTimeout = durationOf(&diags, "statement_timeout", m.StatementTimeout)
	return out, diags
}

// durationOf is 0 where the text is null.
func durationOf(diags *diag.Diagnostics, attribute string, text types.String) time.Duration {
	if text.ValueString() == "" {
		return 0
	}
	d, err := time.ParseDuration(text.ValueString())
	if err != nil {
		diags.AddAttributeError(path.Root(attribute), "Not a duration", err.Error())
	}
	return d
}

// sameGate reports that nothing that decides about a gate differs.
func (m migrationModel) sameGate(other migrationModel) bool {
	return m.SafeAfter.Equal(other.SafeAfter) && m.Release.Equal(other.Release) && m.Soak.Equal(other.Soak) &&
		m.AlsoUsedBy.Equal(other.AlsoUsedBy) && m.OnBlocked.Equal(other.OnBlocked)
}

func fileNames(files []*job.File) []string {
	var out []string
	for _, file := range files {
		out = append(out, file.Name)
	}
	return out
}

// missingFiles were applied and are not in the directory any more.
func missingFiles(files, applied map[string]string) []string {
	var out []string
	for name := range applied {
		if _, ok := files[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// semanticVersion validates a version such as "v1.2.0".
type semanticVersion struct{}

func (semanticVersion) Description(context.Context) string { return "must be a version such as v1.2.0" }

func (v semanticVersion) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString refuses what cannot be compared.
func (v semanticVersion) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := semver.NewVersion(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a version",
			fmt.Sprintf("%q cannot be compared with other versions: it %s.", req.ConfigValue.ValueString(), v.Description(ctx)))
	}
}

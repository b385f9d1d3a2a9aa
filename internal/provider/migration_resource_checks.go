// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// mustHold ends the descriptions of check and validate.
const mustHold = "A statement holds when it returns at least one row, and true, or a number other than 0, in the first column " +
	"of each; it runs in a read-only transaction. "

func checksAttribute(description string) schema.ListAttribute {
	return schema.ListAttribute{
		MarkdownDescription: description,
		Optional:            true,
		ElementType:         types.StringType,
		Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
	}
}

// hasChecks reports that the directory has checks of the user's own.
func (m migrationModel) hasChecks() bool { return !m.Check.IsNull() || !m.Validate.IsNull() }

// readChecks adds the files of check and validate to a directory. known is false while a path is not known.
func (m migrationModel) readChecks(ctx context.Context, dir *job.Directory) (known bool, diags diag.Diagnostics) {
	if !wholly(m.Check) || !wholly(m.Validate) {
		return false, nil
	}
	for _, phase := range []struct {
		name  string
		paths types.List
		files *[]*job.File
	}{{"check", m.Check, &dir.Check}, {"validate", m.Validate, &dir.Validate}} {
		var paths []string
		diags.Append(phase.paths.ElementsAs(ctx, &paths, false)...)
		files, err := job.ReadChecks(paths)
		if err != nil {
			diags.AddAttributeError(path.Root(phase.name), "Cannot read "+phase.name+" of "+m.what(), detailOf(err))
		}
		*phase.files = files
	}
	return true, diags
}

// parseChecks refuses a plan that would run statements that are not SQL.
func (m migrationModel) parseChecks(ctx context.Context, dir *job.Directory) (diags diag.Diagnostics) {
	if m.Pending.IsNull() {
		return nil
	}
	for _, phase := range []struct {
		name  string
		files []*job.File
	}{{"check", dir.Check}, {"validate", dir.Validate}} {
		if err := job.ParseChecks(ctx, phase.files); err != nil {
			diags.AddAttributeError(path.Root(phase.name), "Cannot plan "+m.what(), detailOf(err))
		}
	}
	return diags
}

func (m migrationModel) sameChecks(state migrationModel) bool {
	return m.Check.Equal(state.Check) && m.Validate.Equal(state.Validate) && m.Checks.Equal(state.Checks)
}

// checksums are those of the files of check and validate, null where both are.
func (m migrationModel) checksums(ctx context.Context, dir *job.Directory) (types.Map, diag.Diagnostics) {
	if !m.hasChecks() {
		return types.MapNull(types.StringType), nil
	}
	out := map[string]string{}
	for name, checksum := range job.Checksums(dir.Check) {
		out["check/"+name] = checksum
	}
	for name, checksum := range job.Checksums(dir.Validate) {
		out["validate/"+name] = checksum
	}
	return types.MapValueFrom(ctx, types.StringType, out)
}

// validated are the phases of SQL files: what was validated, null where nothing is.
func (m migrationModel) validated(ctx context.Context, digest string) (types.Map, diag.Diagnostics) {
	if m.Validate.IsNull() {
		return types.MapNull(types.StringType), nil
	}
	out := map[string]string{}
	if digest != "" {
		out[string(job.PhaseValidate)] = digest
	}
	return types.MapValueFrom(ctx, types.StringType, out)
}

// validationDue reports whether what is applied, or is going to be, has not passed the validation yet.
func (m *migrationModel) validationDue(ctx context.Context, applied map[string]string, pending bool) (due bool, diags diag.Diagnostics) {
	checksums := map[string]string{}
	diags.Append(m.Checks.ElementsAs(ctx, &checksums, false)...)
	var validate []*job.File
	for _, key := range slices.Sorted(maps.Keys(checksums)) {
		if name, ok := strings.CutPrefix(key, "validate/"); ok {
			validate = append(validate, &job.File{File: &sqlfile.File{Name: name, Checksum: checksums[key]}})
		}
	}
	want, d := m.validated(ctx, job.ValidateDigest(applied, validate))
	diags.Append(d...)
	return !m.Validate.IsNull() && (pending || !want.Equal(m.Phases)), diags
}

// planValidate plans whether what is applied after the pending files is validated, and returns what is pending with it.
func (m *migrationModel) planValidate(
	ctx context.Context, dir *job.Directory, applied map[string]string, pending []*job.File, state *migrationModel,
) ([]string, diag.Diagnostics) {
	names := fileNames(pending)
	if m.Validate.IsNull() {
		return names, nil
	}
	after := maps.Clone(applied)
	maps.Copy(after, job.Checksums(pending))
	want, diags := m.validated(ctx, job.ValidateDigest(after, dir.Validate))
	if len(pending) > 0 || !want.Equal(state.Phases) || !state.Recorded.ValueBool() {
		names = append(names, string(job.PhaseValidate))
	}
	m.Phases = types.MapUnknown(types.StringType)
	if state.Recorded.ValueBool() && (len(pending) == 0 || !m.contract()) { // a gate may be closed
		m.Phases = want
	}
	return names, diags
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// privateFacts is the key in private state of what Read saw in the release's record. The plan takes it from there, since it must
// come out the same when Terraform runs it again in the apply; whether a quarantine has expired is therefore decided in Read.
const privateFacts = "facts"

// releaseFacts are what a plan needs to know of a release's past.
type releaseFacts struct {
	// Quarantine is nil where no content is quarantined; RetryToken is the argument "retry_token" of the run that failed.
	Quarantine *record.Quarantine `json:"quarantine,omitempty"`
	RetryToken string             `json:"retryToken,omitempty"`
	// Revision and Version are what was attempted last; KnownGood are the revisions that worked, newest first.
	Revision  int            `json:"revision,omitempty"`
	Version   string         `json:"version,omitempty"`
	KnownGood []goodRevision `json:"knownGood,omitempty"`
	// Unrecorded says that another program made the deployed revision, and that no apply of Slipway has been here.
	Unrecorded bool `json:"unrecorded,omitempty"`
}

type goodRevision struct {
	Revision int    `json:"revision"`
	Version  string `json:"version,omitempty"`
	Digest   string `json:"digest"`
}

func (g goodRevision) String() string { return revisionName(g.Version, g.Revision) }

// revisionName is "v1.1.1 (revision 3)", or "revision 3" where there is no version.
func revisionName(version string, revision int) string {
	if version == "" {
		return fmt.Sprintf("revision %d", revision)
	}
	return fmt.Sprintf("%s (revision %d)", version, revision)
}

// factsOf is what the record says at that time.
func factsOf(seen *release.Observation, now time.Time) releaseFacts {
	last := seen.Record
	if last == nil {
		facts := releaseFacts{Unrecorded: seen.Deployed != 0, Revision: seen.Revision}
		for _, g := range seen.KnownGood() {
			facts.KnownGood = append(facts.KnownGood, goodRevision{Revision: g.Revision, Version: g.Version, Digest: g.Digest})
		}
		return facts
	}
	facts := releaseFacts{Revision: last.Revision, Version: last.Version}
	if q := last.Quarantine; q != nil && last.Quarantined(q.Key, last.RetryToken, seen.Cleared, now) != nil {
		facts.Quarantine, facts.RetryToken = q, last.RetryToken
	}
	for _, g := range last.KnownGood {
		facts.KnownGood = append(facts.KnownGood, goodRevision{Revision: g.Revision, Version: g.Version, Digest: g.Digest})
	}
	return facts
}

// quarantined is the attribute "quarantined" of a plan for the content with that key, null where the content may be deployed.
func (f releaseFacts) quarantined(key, retryToken string) types.String {
	if f.Quarantine == nil || f.Quarantine.Key != key || f.RetryToken != retryToken {
		return types.StringNull()
	}
	return types.StringValue(quarantineText(*f.Quarantine))
}

// quarantineText is "v1.2.0 failed 2026-11-22T22:41:59Z as revision 4: error_rate 7.1% was above 5% for 2m0s (quarantined until …)".
func quarantineText(q record.Quarantine) string {
	what := "this content"
	if q.Version != "" {
		what = q.Version
	}
	return fmt.Sprintf("%s failed %s as revision %d: %s (quarantined until %s)", what, q.At.UTC().Format(time.RFC3339), q.Revision,
		strings.TrimSuffix(q.Reason, "."), q.Expires.UTC().Format(time.RFC3339))
}

// good reports that content with that digest is known to work.
func (f releaseFacts) good(digest string) bool {
	return slices.ContainsFunc(f.KnownGood, func(g goodRevision) bool { return g.Digest == digest })
}

// back is the known-good revision that bringing this content live goes back to, as package release will record it.
func (f releaseFacts) back(version, digest string) (goodRevision, bool) {
	last := record.Release{Revision: f.Revision, Version: f.Version}
	for _, g := range f.KnownGood {
		last.KnownGood = append(last.KnownGood, record.KnownGood{Revision: g.Revision, Version: g.Version, Digest: g.Digest})
	}
	good, back := last.Rollback(version, digest)
	if !back {
		return goodRevision{}, false
	}
	return goodRevision{Revision: good.Revision, Version: good.Version, Digest: good.Digest}, true
}

func recordedFacts(ctx context.Context, private privateReader) (facts releaseFacts, diags diag.Diagnostics) {
	raw, diags := private.GetKey(ctx, privateFacts)
	if diags.HasError() || len(raw) == 0 {
		return facts, diags
	}
	if err := json.Unmarshal(raw, &facts); err != nil {
		diags.AddError("Cannot read the private state of the release", fmt.Sprintf("The recorded facts are no JSON: %s.", err))
	}
	return facts, diags
}

func keepFacts(ctx context.Context, private privateWriter, facts releaseFacts) (diags diag.Diagnostics) {
	raw, err := json.Marshal(facts)
	if err != nil {
		diags.AddError("Cannot write the private state of the release", err.Error())
		return diags
	}
	return private.SetKey(ctx, privateFacts, raw)
}

// seenValues are the computed attributes that follow from what was observed.
func seenValues(seen *release.Observation) map[string]attr.Value {
	return map[string]attr.Value{
		"verification": verificationValue(seen),
		"known_good":   knownGoodValue(seen),
	}
}

// verificationValue is the attribute "verification".
func verificationValue(seen *release.Observation) types.String {
	if text := seen.Verification(); text != "" {
		return types.StringValue(text)
	}
	if seen.Record != nil && !seen.Outside() && len(seen.Record.Runs) > 0 {
		if last := seen.Record.Runs[0]; last.Revision == seen.Revision && last.Outcome == record.OutcomeFailed &&
			last.Stage != verify.StageRollout {
			return types.StringValue(verificationFailed + ": " + last.Reason)
		}
	}
	return types.StringNull()
}

const (
	verificationVerified = "verified"
	verificationFailed   = "failed"
)

// knownGoodValue is the attribute "known_good".
func knownGoodValue(seen *release.Observation) types.String {
	all := seen.KnownGood()
	if len(all) == 0 {
		return types.StringNull()
	}
	newest := all[0]
	return types.StringValue(revisionName(newest.Version, newest.Revision))
}

// rollbackReadyYes is the attribute "rollback_ready" where nothing is in the way.
const rollbackReadyYes = "yes"

// rollbackReadyValue is the attribute "rollback_ready".
func rollbackReadyValue(r release.Readiness) types.String {
	if r.Ready {
		return types.StringValue(rollbackReadyYes)
	}
	return types.StringValue(r.Why)
}

// nullBlock is a block of slipway_release that is not there.
func nullBlock(name string) types.List {
	if list, ok := verificationBlocks()[name].Type().(types.ListType); ok {
		return types.ListNull(list.ElemType)
	}
	return types.ListNull(types.DynamicType)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"cmp"
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Severities of findings. Nothing is written while there are errors.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
	SeverityNote    = "note"
)

// Rules that findings come from.
const (
	RuleFile     = "file"     // a file that is not valid
	RuleLocked   = "locked"   // a layer sets what is locked
	RuleRequired = "required" // an environment lacks what it must have
	RuleNull     = "null"     // a null that cannot have an effect
	RuleType     = "type"     // a value of another kind than the chart's
	RuleUnknown  = "unknown"  // a key that the chart does not have
	RuleSchema   = "schema"   // a value that the chart's schema does not allow
	RuleTrap     = "trap"     // an unquoted text that YAML reads as something else
	RuleSecret   = "secret"   // a text that looks like a secret
	RuleForeign  = "foreign"  // one client's account, host, bucket or name in another's values
	RulePlace    = "place"    // a namespace, database or host name of two environments
	RuleOutlier  = "outlier"  // a value that nearly all others have otherwise
	RuleUseless  = "useless"  // a value that changes nothing anywhere
	RuleSelector = "selector" // a selector over a tag that no environment has
	RuleTag      = "tag"      // a tag that looks like a misspelled one of other clients
	RuleStray    = "stray"    // a folder that is no client
	RuleOrphan   = "orphan"   // a generated file of an environment that no longer exists
)

// Finding is something wrong or remarkable in the fleet's values.
type Finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	// Key is the dotted path of the value; empty where it is about a file.
	Key string `json:"key,omitempty"`
	values.Origin
	// Text is a sentence. It holds no value that looks like a secret.
	Text string `json:"text"`
	// Environments that it concerns, sorted.
	Environments []string `json:"environments,omitempty"`
}

var severityOrder = []string{SeverityError, SeverityWarning, SeverityNote}

func sortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severityOrder, a.Severity), slices.Index(severityOrder, b.Severity)),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
	})
}

// gather joins findings that are the same but for the environments.
func gather(findings []Finding) []Finding {
	type identity struct{ rule, key, file, text string }
	places := map[identity]int{}
	var out []Finding
	for _, finding := range findings {
		id := identity{finding.Rule, finding.Key, finding.String(), finding.Text}
		at, known := places[id]
		if !known {
			places[id] = len(out)
			finding.Environments = slices.Clone(finding.Environments)
			out = append(out, finding)
			continue
		}
		out[at].Environments = append(out[at].Environments, finding.Environments...)
	}
	for i := range out {
		slices.Sort(out[i].Environments)
		out[i].Environments = slices.Compact(out[i].Environments)
	}
	sortFindings(out)
	return out
}

// HasErrors reports that some finding is an error.
func HasErrors(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == SeverityError })
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint/corpus"
)

// TestLint_ReportsTheLabelsOfTheCorpus asks for exactly the rules that the labels name: no more, no fewer.
func TestLint_ReportsTheLabelsOfTheCorpus(t *testing.T) {
	cases, err := corpus.Read(os.DirFS("testdata/corpus"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			report, err := lint.Lint(t.Context(), c.History, c.Pending, c.Options)
			if err != nil {
				t.Fatal(err)
			}
			if got := ruleNames(report.Errors()); !slices.Equal(got, sorted(c.Errors)) {
				t.Errorf("errors %v, want %v\n%s", got, c.Errors, describe(report))
			}
			if got := ruleNames(report.Warnings()); !slices.Equal(got, sorted(c.Warnings)) {
				t.Errorf("warnings %v, want %v\n%s", got, c.Warnings, describe(report))
			}
		})
	}
}

func ruleNames(findings []lint.Finding) []string {
	var names []string
	for _, finding := range findings {
		names = append(names, finding.Rule)
	}
	return sorted(names)
}

func sorted(names []string) []string {
	names = slices.Sorted(slices.Values(names))
	return slices.Compact(names)
}

func describe(report *lint.Report) string {
	var text strings.Builder
	for _, finding := range report.Findings {
		text.WriteString(finding.File + ": " + string(finding.Severity) + " " + finding.Rule + " " + finding.Object + ": " +
			finding.Reason + "\n")
	}
	return text.String()
}

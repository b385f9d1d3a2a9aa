// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

var fileName = regexp.MustCompile(`(?m)^-- (\d{5}_\w+\.sql)$`)

// exampleFiles are the files of an example of the documentation.
func exampleFiles(example string) []*sqlfile.File {
	names := fileName.FindAllStringSubmatch(example, -1)
	parts := fileName.Split(example, -1)
	if len(names) == 0 {
		names, parts = [][]string{{"", "00001_example.sql"}}, []string{"", example}
	}
	var files []*sqlfile.File
	for i, name := range names {
		content := strings.TrimSpace(parts[i+1]) + "\n"
		if !strings.Contains(content, "+goose Up") {
			content = "-- +goose Up\n" + content
		}
		files = append(files, sqlfile.Parse(name[1], []byte(content)))
	}
	return files
}

func TestRules_ExamplesAreSafeAndUnsafeAsDeclared(t *testing.T) {
	for _, rule := range Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			if rule.Why == "" || rule.SafeForm == "" || rule.Title == "" || rule.Class == "" || rule.Severity == "" {
				t.Errorf("it is not complete: %+v", rule)
			}
			if rule.Unsafe != "" {
				report := lintExample(t, rule.Unsafe)
				open := rulesOf(report.Errors())
				if rule.Severity == Warning {
					open = rulesOf(report.Warnings())
				}
				if !slices.Contains(open, rule.ID) {
					t.Errorf("the rule does not report its unsafe example: %+v", report.Findings)
				}
			}
			if rule.Safe != "" {
				if report := lintExample(t, rule.Safe); len(report.Findings) > 0 {
					t.Errorf("the safe example is not: %+v", report.Findings)
				}
			}
		})
	}
}

func lintExample(t *testing.T, example string) *Report {
	t.Helper()
	report, err := Lint(t.Context(), nil, exampleFiles(example), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// truth is a statement in its context, with what the linter must report of it. One test compares it with the linter, another one
// with real servers. testdata/truth has the cases; a case is
//
//	=== its name
//	errors: rules that must be reported, and no others
//	errors 18: the same for some versions (18, 14-16)
//	warnings: likewise
//	refused 14-17: these versions of PostgreSQL do not accept a statement
//	--- base: SQL for the server alone, of objects that the files do not show
//	--- applied: an applied file; may be repeated
//	--- rows: SQL for the server alone, instead of the rows that each ordinary table gets after the applied files
//	--- pending, or pending no transaction: a pending file; may be repeated
type truth struct {
	name             string
	errors, warnings map[int][]string // by version; 0: others
	refused          map[int]bool
	base, rows       string
	history, pending []*sqlfile.File
}

func (c *truth) errorsOn(version int) []string   { return byVersion(c.errors, version) }
func (c *truth) warningsOn(version int) []string { return byVersion(c.warnings, version) }

func byVersion(rules map[int][]string, version int) []string {
	if of, has := rules[version]; has {
		return of
	}
	return rules[0]
}

// readTruth reads all cases, by file.
func readTruth(t *testing.T) []*truth {
	t.Helper()
	files, err := filepath.Glob("testdata/truth/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	var all []*truth
	seen := map[string]bool{}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		topic := strings.TrimSuffix(filepath.Base(name), ".txt")
		cases, err := parseTruth(topic, string(content))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range cases {
			if seen[c.name] {
				t.Fatalf("two cases are called %q", c.name)
			}
			seen[c.name] = true
		}
		all = append(all, cases...)
	}
	return all
}

func parseTruth(topic, content string) ([]*truth, error) {
	var all []*truth
	var c *truth
	section, text := "", ""
	end := func() error {
		if c == nil {
			return nil
		}
		defer func() { section, text = "", "" }()
		kind, options, _ := strings.Cut(section, " ")
		switch kind {
		case "":
		case "base":
			c.base = text
		case "rows":
			c.rows = text
		case "applied", "pending":
			head := "-- +goose Up\n"
			if options == "no transaction" {
				head = "-- +goose NO TRANSACTION\n" + head
			}
			number := len(c.history) + len(c.pending) + 1
			file := sqlfile.Parse(fmt.Sprintf("%05d_file.sql", number), []byte(head+text))
			if file.Problem != nil {
				return fmt.Errorf("%s: file %d: %w", c.name, number, file.Problem)
			}
			if kind == "applied" {
				c.history = append(c.history, file)
			} else {
				c.pending = append(c.pending, file)
			}
		default:
			return fmt.Errorf("%s: there is no section %q", c.name, section)
		}
		return nil
	}
	lines := bufio.NewScanner(strings.NewReader(content))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "=== "):
			if err := end(); err != nil {
				return nil, err
			}
			c = &truth{
				name: topic + "/" + strings.TrimPrefix(line, "=== "), errors: map[int][]string{}, warnings: map[int][]string{}, refused: map[int]bool{},
			}
			all = append(all, c)
		case strings.HasPrefix(line, "--- "):
			if err := end(); err != nil {
				return nil, err
			}
			section = strings.TrimPrefix(line, "--- ")
		case section != "":
			text += line + "\n"
		case c != nil && strings.TrimSpace(line) != "":
			if err := c.expect(line); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return all, end()
}

func (c *truth) expect(line string) error {
	head, value, _ := strings.Cut(line, ":")
	key, versions, _ := strings.Cut(head, " ")
	numbers := []int{0}
	if versions != "" {
		first, last, ranged := strings.Cut(versions, "-")
		if !ranged {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return err
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return err
		}
		numbers = nil
		for v := from; v <= to; v++ {
			numbers = append(numbers, v)
		}
	}
	rules := strings.Fields(value)
	for _, rule := range rules {
		if _, known := rulesByID[rule]; !known {
			return fmt.Errorf("there is no rule %q", rule)
		}
	}
	for _, v := range numbers {
		switch key {
		case "errors":
			c.errors[v] = rules
		case "warnings":
			c.warnings[v] = rules
		case "refused":
			c.refused[v] = true
		default:
			return fmt.Errorf("there is no expectation %q", key)
		}
	}
	return nil
}

// TestLint_AgreesWithTheTruth asks for exactly the rules of each case, for each version of PostgreSQL, and for an unknown one if
// the case is the same for all.
func TestLint_AgreesWithTheTruth(t *testing.T) {
	for _, c := range readTruth(t) {
		t.Run(c.name, func(t *testing.T) {
			versions := []int{14, 15, 16, 17, 18}
			if len(c.refused) == 0 && len(c.errors) <= 1 && len(c.warnings) <= 1 && c.errors[18] == nil {
				versions = append(versions, 0)
			}
			for _, version := range versions {
				report, err := Lint(t.Context(), c.history, c.pending, Options{Postgres: version})
				if err != nil {
					t.Fatal(err)
				}
				gotErrors, gotWarnings := rulesOf(report.Errors()), rulesOf(report.Warnings())
				if !slices.Equal(gotErrors, sortedRules(c.errorsOn(version))) || !slices.Equal(gotWarnings, sortedRules(c.warningsOn(version))) {
					t.Errorf("PostgreSQL %d: errors %v, want %v; warnings %v, want %v", version, gotErrors, c.errorsOn(version), gotWarnings,
						c.warningsOn(version))
					return
				}
			}
		})
	}
}

func rulesOf(findings []Finding) []string {
	var names []string
	for _, finding := range findings {
		names = append(names, finding.Rule)
	}
	return sortedRules(names)
}

func sortedRules(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

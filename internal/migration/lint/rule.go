// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import "slices"

// Severity is the effect of a finding on a plan.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // stops the plan unless it is acknowledged
	Warning Severity = "warning" // is shown
)

// Class is the kind of harm of a rule.
type Class string

// The classes.
const (
	Locks        Class = "locks"         // holds a strong lock for as long as a table is read or written
	Compatible   Class = "compatibility" // breaks the version of the application that is still running
	Data         Class = "data"          // loses data, or changes a lot of it at once
	Transactions Class = "transactions"  // cannot run, or not safely again, as it is cut into transactions
)

// Rule is one rule of the linter.
type Rule struct {
	ID       string
	Class    Class
	Severity Severity // of most of its findings
	Title    string
	Why      string // what happens, in a sentence or two
	SafeForm string // what to do instead
	Unsafe   string // an example with a finding; "" if a statement alone cannot show it
	Safe     string // the example, written so that it is safe; a line "-- 00001_name.sql" starts a file
}

// NotAnalyzed is the rule for statements that the linter cannot analyze.
const NotAnalyzed = "not-analyzed"

// Page is the page about the rule.
func (r Rule) Page() string { return RulesPage + "#" + r.ID }

// RulesPage is the page that explains all rules.
const RulesPage = "https://registry.terraform.io/providers/slipway-dev/slipway/latest/docs/guides/migration-lint-rules"

// Rules are all rules, by class.
func Rules() []Rule { return slices.Clone(rules) }

var rules = slices.Concat(lockRules, compatibilityRules, dataRules, transactionRules)

var rulesByID = func() map[string]Rule {
	byID := make(map[string]Rule, len(rules))
	for _, rule := range rules {
		byID[rule.ID] = rule
	}
	return byID
}()

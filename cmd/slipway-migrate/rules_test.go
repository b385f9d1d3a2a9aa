// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
)

var update = flag.Bool("update", false, "rewrite the page of the rules")

const rulesTemplate = "../../templates/guides/migration-lint-rules.md"

func TestRulesPage_MatchesTheRules(t *testing.T) {
	var page bytes.Buffer
	if err := runLint(t.Context(), []string{"--rules", "--format", "markdown"}, &page, &page); err != nil {
		t.Fatal(err)
	}
	for _, rule := range lint.Rules() {
		if strings.Count(page.String(), "\n### "+rule.ID+"\n") != 1 {
			t.Errorf("%s is not explained once", rule.ID)
		}
	}
	if *update {
		if err := os.WriteFile(rulesTemplate, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(rulesTemplate)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, page.Bytes()) {
		t.Error("templates/guides/migration-lint-rules.md does not match the rules: go test ./cmd/slipway-migrate -run RulesPage -update")
	}
}

func TestLint_NamesTheRuleAndItsPage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/00001_drop.sql", []byte("-- +goose Up\nDROP TABLE a;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := runLint(t.Context(), []string{dir}, &out, &out)
	if err == nil || !strings.Contains(out.String(), "drop-table") || !strings.Contains(out.String(), lint.RulesPage+"#drop-table") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

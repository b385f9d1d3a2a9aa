// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"strings"
	"testing"
)

func TestMasker_HidesSecretsInTheFormsInWhichProgramsPrintThem(t *testing.T) {
	const url = "postgres://migrator:p%40ss%2Fword@db.example.internal/orders"
	m := &masker{}
	m.add(url + "\n")
	m.add("first line\nsecond-secret")
	m.add("no")
	m.add("")
	for _, text := range []string{
		"connecting to " + url, "password=p@ss/word", "the raw p%40ss%2Fword", "line second-secret.", "cEBzcy93b3Jk",
		"pre" + "postgres%3A%2F%2Fmigrator%3Ap%2540ss%252Fword%40db.example.internal%2Forders",
	} {
		got := m.text(text)
		if !strings.Contains(got, "(secret)") || strings.Contains(got, "ss/word") || strings.Contains(got, "40ss") ||
			strings.Contains(got, "second-secret") {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := m.text("no error"); got != "no error" {
		t.Errorf("a value of two letters is masked: %q", got)
	}
}

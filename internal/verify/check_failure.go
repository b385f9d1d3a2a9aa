// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Explain says it in three paragraphs.
func (e *CheckFailure) Explain() (happened, observed, advice string) {
	name := e.Stage
	if e.Check != "" {
		name += " " + e.Check
	}
	happened = fmt.Sprintf("The %s did not pass: %s", name, e.Problem)
	advice = "Fix the version or its configuration, and apply again."
	if !e.Refused {
		happened = fmt.Sprintf("The %s could not be made: %s", name, e.Problem)
		advice = "This says nothing about the version. Fix the cause of the error, and apply again."
	}
	if len(e.Log) > 0 {
		observed = "Last lines:\n  " + strings.Join(e.Log, "\n  ")
	}
	return happened, observed, advice
}

func (e *CheckFailure) Error() string { return explain.Text(e.Explain()) }

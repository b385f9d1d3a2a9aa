// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

func TestChartDiagnostic_SaysWhatToCorrect(t *testing.T) {
	for _, tc := range []struct {
		name       string
		err        error
		want, none string
	}{
		{"a path", &chart.NotFoundError{Place: "charts/nope"}, "Correct the path. A relative path starts", "version"},
		{"a version", &chart.NotFoundError{Place: "oci://registry.company.com/charts", Name: "app", Version: "0.9.0"}, "oci://registry.company.com/charts has no version 0.9.0", "relative path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := chartDiagnostic(tc.err).Detail()
			if !strings.Contains(text, tc.want) || strings.Contains(text, tc.none) || strings.Contains(text, "Oci://") {
				t.Errorf("got: %s", text)
			}
		})
	}
}

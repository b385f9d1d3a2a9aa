// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

func TestChartDiagnostic_NamesWhatToCorrect(t *testing.T) {
	for _, tc := range []struct {
		name       string
		err        error
		want, none string
	}{
		{"a path", &chart.NotFoundError{Place: "charts/nope"}, "Correct the path. A relative path starts", "version"},
		{
			"a version", &chart.NotFoundError{Place: "oci://registry.company.com/charts", Name: "app", Version: "0.9.0"},
			"oci://registry.company.com/charts has no version 0.9.0", "relative path",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := chartDiagnostic(tc.err).Detail()
			if !strings.Contains(text, tc.want) || strings.Contains(text, tc.none) || strings.Contains(text, "Oci://") {
				t.Errorf("got: %s", text)
			}
		})
	}
}

func TestValuesDiagnostics_EndAQuestionWithItsOwnPunctuation(t *testing.T) {
	c, err := chart.NewLoader("", nil).Get(t.Context(), chart.Source{Path: "../../examples/data-collection/chart/data-collection-service"}, "")
	if err != nil {
		t.Fatal(err)
	}
	diags := valuesDiagnostics(c, layers{public: map[string]any{"replicaCont": int64(2)}})
	if len(diags) != 1 || !strings.Contains(diags[0].Detail(), "did you mean replicaCount?\n\nCorrect it in") {
		t.Errorf("got %v", diags)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"fmt"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

func TestHealthSamples_AreWhatNobodyElseRemembers(t *testing.T) {
	t.Parallel()
	var samples []analysis.Sample
	for i := range maxSamples + 10 {
		samples = append(samples, analysis.Sample{Check: "pods", Evidence: fmt.Sprint(i)}, analysis.Sample{Check: "errors"})
	}
	got := KeptSamples(analysis.Policy{Metrics: []analysis.Metric{{Name: "errors"}}}, samples)
	if len(got) != maxSamples || got[0].Evidence != "10" || got[0].Check != "pods" {
		t.Errorf("%d samples, the first is %+v", len(got), got[0])
	}
}

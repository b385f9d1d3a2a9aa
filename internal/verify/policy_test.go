// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import "testing"

func TestPolicy_ValidateChecks(t *testing.T) {
	t.Parallel()
	good := Policy{
		SmokeTests: []Check{{Name: "chart", HelmTest: &HelmTest{}}, {Name: "http", HTTP: &HTTPCheck{URL: "https://app/"}}},
		Acceptance: &Check{Name: "gate", Job: &JobCheck{Image: "tests:v1", Env: map[string]string{"BASE_URL": "x"}}},
	}
	if err := good.ValidateChecks(); err != nil {
		t.Fatal(err)
	}
	bad := Policy{
		SmokeTests: []Check{
			{Name: "a"}, {Name: "a", HelmTest: &HelmTest{}, HTTP: &HTTPCheck{URL: "app"}, Timeout: -1},
			{Name: "c", HTTP: &HTTPCheck{URL: "http://app/", Contains: "x", Statuses: []int{204}}},
		},
		Acceptance: &Check{Job: &JobCheck{Env: map[string]string{"SLIPWAY_STAGE": "x", "a b": "x"}}},
	}
	wantText(t, asError[*CheckConfigError](t, bad.ValidateChecks()).Error(),
		`smoke_test[0] ("a"): it has none`, `smoke_test[1].name ("a"): two`, `smoke_test[1] ("a"): it has helm_test and http`, "smoke_test[1].timeout", "smoke_test[1].http.url",
		"smoke_test[2].http.contains", "acceptance[0].name", "acceptance[0].job.image", `"a b" is not`, "SLIPWAY_STAGE is set by Slipway")
}

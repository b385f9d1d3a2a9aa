// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// watchedBy is an analysis of nothing but an address.
func watchedBy(address, duration string) string {
	return fmt.Sprintf(`
  analysis {
    duration = %s
    interval = "1s"
    health {
      consecutive_failures = 1
      http {
        name = "answer"
        url  = %q
      }
    }
  }
  rollback {}`, duration, address)
}

// answering is an address that answers well, but for the next requests where some are to fail.
func answering(t *testing.T) (address string, fail *atomic.Int32) {
	t.Helper()
	fail = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fail.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, fail
}

func state(checks map[string]knownvalue.Check) (out []statecheck.StateCheck) {
	for name, check := range checks {
		out = append(out, statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New(name), check))
	}
	return out
}

func TestReleaseVerification_ThatIsNotKnownYet(t *testing.T) {
	r := newTestRelease(t)
	address, _ := answering(t)
	config := func(version, duration, output string) string {
		return r.config(fmt.Sprintf("version = %q\n", version)+watchedBy(address, duration)) +
			fmt.Sprintf("\nresource \"terraform_data\" \"length\" {\n  input = %q\n}\n", output)
	}
	const unknown = `terraform_data.length.output`
	verified := state(map[string]knownvalue.Check{"verification": knownvalue.StringExact("verified"), "quarantined": knownvalue.Null()})
	r.run(
		resource.TestStep{Config: config("v1.1.1", unknown, "2s"), ConfigStateChecks: verified},
		resource.TestStep{Config: config("v1.1.1", unknown, "2s"), ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan())},
		resource.TestStep{Config: config("v1.2.0", unknown, "3s"), ConfigStateChecks: verified},
		resource.TestStep{ // The verification alone changes: nothing is deployed, and nothing is verified that is known to work.
			Config: config("v1.2.0", `"4s"`, "3s"),
			ConfigStateChecks: append(verified,
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(2)),
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("rollback_ready"), knownvalue.StringExact("yes"))),
		},
		resource.TestStep{Config: config("v1.2.0", `"4s"`, "3s"), ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan())},
	)
}

// What is quarantined when the verification is not known in the plan shows only in the apply, which refuses it all the same.
func TestReleaseVerification_QuarantinedContentWhoseVerificationIsNotKnownYet(t *testing.T) {
	r := newTestRelease(t)
	address, fail := answering(t)
	config := func(version, duration, output string) string {
		return r.config(fmt.Sprintf("version = %q\n", version)+watchedBy(address, duration)) +
			fmt.Sprintf("\nresource \"terraform_data\" \"length\" {\n  input = %q\n}\n", output)
	}
	r.run(
		resource.TestStep{Config: config("v1.1.1", `"2s"`, "a")},
		resource.TestStep{
			PreConfig: func() { fail.Store(2) }, Config: config("v1.2.0", `"2s"`, "a"),
			ExpectError: regexp.MustCompile(`failed\s+its\s+analysis[\s\S]*restored\s+from\s+revision\s+1[\s\S]*validation\s+passed`),
		},
		resource.TestStep{
			Config:           config("v1.2.0", `terraform_data.length.output`, "2s"),
			ConfigPlanChecks: plans(plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("quarantined"))),
			ExpectError:      regexp.MustCompile(`Version\s+v1.2.0\s+is\s+not\s+deployed\s+again`),
		},
		resource.TestStep{ // With another policy it is other content.
			Config:            config("v1.2.0", `"3s"`, "2s"),
			ConfigPlanChecks:  plans(plancheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("quarantined"), knownvalue.Null())),
			ConfigStateChecks: state(map[string]knownvalue.Check{"verification": knownvalue.StringExact("verified")}),
		},
	)
}

// Settings of a whole verification that cannot work are refused before anything is asked, and name their argument.
func TestReleaseVerification_PlanRefusesWhatCannotWork(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{
			Config:   r.config("analysis {\n duration = \"40m\"\n}\nrollback {\n validation = \"10m\"\n}"),
			PlanOnly: true, ExpectError: regexp.MustCompile(`rollout\s+5m[\s\S]*analysis\s+40m40s[\s\S]*rollback\s+and\s+its\s+validation\s+15m`),
		},
		resource.TestStep{
			Config: r.config(`
  analysis {
    prometheus {
      url = "http://127.0.0.1:9"
    }
    metric {
      name  = "errors"
      query = "up{version=\"{{ version }}\"}"
      above = 1
      for   = "1m"
    }
  }`),
			PlanOnly: true, ExpectError: regexp.MustCompile(`placeholder\s+\{\{\s+version`),
		},
		resource.TestStep{
			Config:   r.config("analysis {\n durration = \"40m\"\n}"),
			PlanOnly: true, ExpectError: regexp.MustCompile(`durration[\s\S]*duration`),
		},
	)
}

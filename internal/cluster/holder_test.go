// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

func TestProcessHolder_NamesUserMachineAndParentProcess(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(fmt.Sprintf(`^\S.* on %s, terraform process %d \(run [0-9a-f]{8}(, \S+)?\)$`, regexp.QuoteMeta(host),
		os.Getppid()))
	if first := processHolder(); !want.MatchString(first) || first != processHolder() {
		t.Errorf("holder %q", first)
	}
}

func TestPipelinePage_IsThatOfTheKnownPipelines(t *testing.T) {
	t.Parallel()
	for want, variables := range map[string]map[string]string{
		"": {"GITHUB_REPOSITORY": "acme/clients"},
		"https://github.com/acme/clients/actions/runs/42": {
			"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/clients", "GITHUB_RUN_ID": "42",
		},
		"https://gitlab.example.com/acme/-/jobs/7": {"CI_JOB_URL": "https://gitlab.example.com/acme/-/jobs/7"},
		"https://jenkins.example.com/job/apply/3/": {"BUILD_URL": "https://jenkins.example.com/job/apply/3/"},
	} {
		if got := pipelinePage(func(name string) string { return variables[name] }); got != want {
			t.Errorf("with %v: %q, want %q", variables, got, want)
		}
	}
}

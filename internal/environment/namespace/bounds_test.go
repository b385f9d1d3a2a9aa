// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"slices"
	"testing"
)

func TestQuotaAndLimitRange_KnowTheResourcesOfKubernetes(t *testing.T) {
	for name, want := range map[string]struct{ quota, container bool }{
		"cpu":                     {true, true},
		"requests.cpu":            {true, false},
		"requests.cpus":           {false, false},
		"":                        {false, false},
		"pods":                    {true, false},
		"hugepages-2Mi":           {true, true},
		"hugepages-":              {false, false},
		"requests.nvidia.com/gpu": {true, true},
		"count/deployments.apps":  {true, true},
		"gold.storageclass.storage.k8s.io/requests.storage": {true, true},
		"bad key/x": {false, false},
	} {
		if got := QuotaResourceProblem(name) == ""; got != want.quota {
			t.Errorf("%q may be in a quota: %v, want %v", name, got, want.quota)
		}
		if got := ContainerResourceProblem(name) == ""; got != want.container {
			t.Errorf("%q may be in a limit range: %v, want %v", name, got, want.container)
		}
	}
}

func TestLimitRange_NamesBoundsThatContradictEachOther(t *testing.T) {
	cpu := func(q string) map[string]string { return map[string]string{"cpu": q} }
	for name, test := range map[string]struct {
		limits LimitRange
		want   []string
	}{
		"rising":   {LimitRange{Min: cpu("1m"), DefaultRequest: cpu("100m"), Default: cpu("0.1"), Max: cpu("2")}, nil},
		"apart":    {LimitRange{Min: cpu("4"), Max: map[string]string{"memory": "1Mi"}}, nil},
		"falling":  {LimitRange{Min: cpu("2"), Max: cpu("1000m")}, []string{"min of cpu is 2, above max, which is 1000m"}},
		"defaults": {LimitRange{DefaultRequest: cpu("2"), Default: cpu("1")}, []string{"default_request of cpu is 2, above default, which is 1"}},
		"not read": {LimitRange{Min: cpu("x"), Max: cpu("1")}, nil},
	} {
		if got := test.limits.Problems(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

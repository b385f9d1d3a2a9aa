// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"slices"
	"testing"
)

func TestUndefaulted_ListsWhatEachContainerMustSet(t *testing.T) {
	t.Parallel()
	one := map[string]string{"cpu": "1"}
	for name, test := range map[string]struct {
		quota  map[string]string
		limits *LimitRange
		want   []string
	}{
		"nothing of containers":         {map[string]string{"pods": "10"}, nil, nil},
		"requests":                      {map[string]string{"requests.cpu": "8"}, nil, []string{"requests.cpu"}},
		"the short name":                {map[string]string{"memory": "8Gi"}, nil, []string{"requests.memory"}},
		"limits":                        {map[string]string{"limits.cpu": "8"}, &LimitRange{DefaultRequest: one}, []string{"limits.cpu"}},
		"a default request":             {map[string]string{"requests.cpu": "8"}, &LimitRange{DefaultRequest: one}, nil},
		"a default limit":               {map[string]string{"requests.cpu": "8", "limits.cpu": "8"}, &LimitRange{Default: one}, nil},
		"a maximum, which is a default": {map[string]string{"requests.cpu": "8", "limits.cpu": "8"}, &LimitRange{Max: one}, nil},
		"a minimum":                     {map[string]string{"requests.cpu": "8", "limits.cpu": "8"}, &LimitRange{Min: one}, []string{"limits.cpu"}},
		"a default of another":          {map[string]string{"requests.memory": "8Gi"}, &LimitRange{DefaultRequest: one}, []string{"requests.memory"}},
	} {
		if got := Undefaulted(test.quota, test.limits); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

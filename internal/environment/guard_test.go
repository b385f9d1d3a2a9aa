// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package environment

import (
	"errors"
	"strings"
	"testing"
)

func TestGuardWorkspace(t *testing.T) {
	h := Handle{Client: "client-a", Stage: "prod"}
	tests := map[string]struct {
		workspace string
		refused   bool
	}{
		"its own":                       {"client-a-prod", false},
		"the provider does not know it": {"", false},
		"another client":                {"client-b-prod", true},
		"another stage":                 {"client-a-dev", true},
		"default":                       {"default", true},
		"a beginning of it":             {"client-a", true},
		"other capitals":                {"Client-A-Prod", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := GuardWorkspace(test.workspace, h)
			if _, refused := errors.AsType[*WorkspaceError](err); refused != test.refused {
				t.Fatalf("got %v", err)
			}
			if test.refused && !strings.Contains(err.Error(), "terraform workspace select client-a-prod") {
				t.Errorf("it does not say what to do: %v", err)
			}
		})
	}
}

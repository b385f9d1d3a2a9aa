// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"path/filepath"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// What masking costs reviewers: the leaves that are masked without secret values, with some that no template uses, and with some that
// templates use. The first two numbers are equal: they are the data of Secrets.
func TestRender_MasksNothingThatDoesNotDependOnASecret(t *testing.T) {
	sample := filepath.Join("..", "..", "..", "examples", "data-collection", "chart", "data-collection-service")
	for _, c := range []struct {
		name, dir string
		secrets   map[string]any
		concerned int
	}{
		{"sample", sample, map[string]any{"apiToken": "kV93-canary-Zq"}, 0},
		{"orders", filepath.Join("testdata", "charts", "orders"), map[string]any{"apiToken": "kV93-canary-Zq"}, 0},
		{"web", filepath.Join("testdata", "charts", "web"), map[string]any{"password": "kV93-canary-Zq"}, 0},
		{"worker", filepath.Join("testdata", "charts", "worker"), map[string]any{"dsn": "postgres://u:kV93canary@db:5432/x"}, 0},
		{"validating", filepath.Join("testdata", "charts", "validating"), map[string]any{"key": "sk_live_kV93canaryZq"}, 1},
		{"tracks", filepath.Join("testdata", "charts", "tracks"), map[string]any{"extraEnv": map[string]any{"KIWI_TOKEN": "kV93-canary-Zq"}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			count := func(secrets map[string]any) (masked, leaves, concerned int) {
				spec := specFrom(t, c.dir)
				if c.dir == sample {
					spec.Values = map[string]any{"environment": "client-a", "stage": "prod"}
					delete(secrets, "usedByNoTemplate") // which its schema forbids
				}
				spec.Sensitive = secrets
				r := mustRender(t, spec, known(installOf("live")))
				for _, text := range r.Objects {
					o, err := object.Decode(text)
					if err != nil {
						t.Fatal(err)
					}
					m, l := countLeaves(o)
					masked, leaves = masked+m, leaves+l
				}
				return masked, leaves, len(r.Unproven)
			}
			none, leaves, _ := count(nil)
			unused, _, _ := count(map[string]any{"usedByNoTemplate": map[string]any{"token": "kV93-canary-Zq", "number": int64(73451987)}})
			some, _, concerned := count(c.secrets)
			t.Logf("FIGURE %s: %d leaves; masked: %d without a secret, %d with one that no template uses, %d with one that is used",
				c.name, leaves, none, unused, some)
			if unused != none || some <= none || some > none+leaves/2 || concerned != c.concerned {
				t.Errorf("masked are %d, %d and %d of %d, and %d templates are concerned", none, unused, some, leaves, concerned)
			}
		})
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

const (
	// keyVersion names the way in which ContentKey makes a key. A key of another version is never equal, so that a provider that
	// makes keys in another way holds nothing back by mistake.
	keyVersion = "v1:"
)

// ContentKey names what a quarantine holds: what the chart renders to, the chart itself, the application's version, and the policy
// by which it is judged. Values that were given as secret do not count, since they may be others in each run: where one of them was
// what made a version fail, Guard.Retry says that it was put right. What differs with the revision number, and objects that come
// out differently each time, do not count either.
func ContentKey(spec Spec, rendering *render.Result, guard Guard) string {
	sum := sha256.New()
	chart := ""
	if spec.Chart != nil {
		chart = spec.Chart.Digest
	}
	for _, part := range []string{chart, spec.Version, rendering.Digest, guard.policyHash()} {
		sum.Write(fmt.Appendf(nil, "%d:%s\n", len(part), part))
	}
	return keyVersion + hex.EncodeToString(sum.Sum(nil))
}

// policyHash names what a guard judges by, without credentials. What it does afterwards is no part of it. It is empty where the
// guard judges by nothing.
func (g Guard) policyHash() string {
	if !g.judges() {
		return ""
	}
	type source struct {
		Service any    `json:"service,omitempty"`
		Address string `json:"address,omitempty"`
	}
	var policy struct {
		Smoke      []Check `json:"smoke,omitempty"`
		Acceptance *Check  `json:"acceptance,omitempty"`
		Analysis   any     `json:"analysis,omitempty"`
	}
	for _, c := range g.SmokeTests {
		policy.Smoke = append(policy.Smoke, c.withoutCredentials())
	}
	if g.Acceptance != nil {
		c := g.Acceptance.withoutCredentials()
		policy.Acceptance = &c
	}
	if a := g.Analysis; a != nil {
		var from *source
		if p := a.Prometheus; p != nil {
			from = &source{Address: p.Address}
			if p.Service != nil {
				from.Service = *p.Service
			}
		}
		probes := make([]HTTPCheck, 0, len(a.Probes))
		for _, p := range a.Probes {
			p.Header = nil
			probes = append(probes, p)
		}
		policy.Analysis = map[string]any{"policy": a.Policy, "pods": a.Pods, "probes": probes, "prometheus": from}
	}
	text, err := json.Marshal(policy)
	if err != nil {
		// Only a limit that is no number cannot be written, and such a policy is refused before it is asked for its hash.
		text = fmt.Appendf(nil, "%+v", policy)
	}
	sum := sha256.Sum256(text)
	return keyVersion + hex.EncodeToString(sum[:])
}

func (c Check) withoutCredentials() Check {
	if c.HTTP != nil {
		http := *c.HTTP
		http.Header = nil
		c.HTTP = &http
	}
	return c
}

// judges reports that a revision has to pass something before it is known-good.
func (g Guard) judges() bool {
	return len(g.SmokeTests) > 0 || g.Analysis != nil || g.Acceptance != nil
}

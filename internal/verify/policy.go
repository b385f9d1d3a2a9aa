// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package verify decides whether a new version is healthy: smoke tests, an analysis run over its pods, probes and metrics, and an
// acceptance check, with the evidence for what they found. Releases, canaries and blue-green switches use it.
package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Policy says how a new revision is verified once its pods are ready, and what happens when that fails. The zero value
// verifies nothing and rolls nothing back.
//
// The order is: rollout, smoke tests, analysis, acceptance. The first that fails ends the run as failed.
type Policy struct {
	// SmokeTests run in their order; the first that fails ends the run as failed.
	SmokeTests []Check
	// Analysis is nil where none is made.
	Analysis *Analysis
	// Acceptance is asked last; a Job that ends well accepts. Nil accepts.
	Acceptance *Check
	// Rollback is nil where a failed revision stays as it is.
	Rollback *RollbackPolicy
	// RetryToken is any text; changing it lets content be deployed again that failed.
	RetryToken string
}

// Check is one smoke test, or the acceptance gate. Exactly one of HelmTest, HTTP and Job is set.
type Check struct {
	Name     string
	HelmTest *HelmTest
	HTTP     *HTTPCheck
	Job      *JobCheck
	// Timeout is for all attempts together, 5 minutes where zero; 30 seconds for HTTP.
	Timeout time.Duration
}

// RollbackPolicy says how a failed revision is rolled back: to the newest known-good revision, never to Helm's guess.
type RollbackPolicy struct {
	// RunHooks runs the chart's rollback hooks; they are skipped otherwise, since one that fails blocks the rollback.
	RunHooks bool
	// Timeout is for the rollback's rollout, 5 minutes where zero. It starts when the rollback does.
	Timeout time.Duration
	// Validation is how long the restored revision is watched by the analysis' checks, over a window that starts after the
	// rollback; its smoke tests and acceptance run as well. Zero makes one pass of each health check. A metric whose rule needs
	// longer than this is left out: it could only evaluate what the other revision did. The window starts when the queries look
	// back no further than to the rollback: with rate(x[1m]) one minute and an interval after it.
	Validation time.Duration
	// Quarantine is how long content that failed is not deployed again, 24 hours where zero.
	Quarantine time.Duration
}

// Longest is how long rollout, verification and rollback take at most, given the rollout's timeout.
func (g Policy) Longest(rollout time.Duration) time.Duration {
	total := rollout
	for _, test := range g.SmokeTests {
		total += test.timeout()
	}
	if g.Analysis != nil {
		total += g.Analysis.Policy.Longest()
	}
	if g.Acceptance != nil {
		total += g.Acceptance.timeout()
	}
	if g.Rollback != nil {
		total += g.Rollback.Limit() + g.Rollback.Validation
		if restored := g.Analysis.Validation(g.Rollback.Validation); restored != nil {
			total += restored.Policy.InitialDelay
		}
	}
	return total
}

// ValidateChecks says what is wrong with smoke tests and acceptance: *CheckConfigError, nil where nothing is.
func (g Policy) ValidateChecks() error {
	p := &problems{block: "smoke_test"}
	names := map[string]bool{}
	for i, check := range g.SmokeTests {
		p.index, p.name = i, check.Name
		p.add(names[check.Name], "name", "two smoke tests are called %q.", check.Name)
		names[check.Name] = true
		p.check(check)
	}
	if g.Acceptance != nil {
		p.block, p.index, p.name = "acceptance", 0, ""
		p.check(*g.Acceptance)
	}
	if len(p.list) == 0 {
		return nil
	}
	return &CheckConfigError{Problems: p.list}
}

const (
	defaultCheckTimeout = 5 * time.Minute
	// Pods are ready when it begins; only the routes to them may follow a little later.
	defaultHTTPCheckTimeout = 30 * time.Second
	defaultRollbackTimeout  = 5 * time.Minute
	DefaultQuarantine       = 24 * time.Hour
)

func (c Check) timeout() time.Duration {
	switch {
	case c.Timeout != 0:
		return c.Timeout
	case c.HTTP != nil:
		return defaultHTTPCheckTimeout
	}
	return defaultCheckTimeout
}

func (p RollbackPolicy) Limit() time.Duration {
	if p.Timeout == 0 {
		return defaultRollbackTimeout
	}
	return p.Timeout
}

// hashVersion names the way in which Hash makes a hash.
const hashVersion = "v1:"

// Hash names what a policy verifies, without credentials. What it does afterwards is no part of it. It is empty where the
// policy verifies nothing.
func (g Policy) Hash() string {
	if !g.Verifies() {
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
	return hashVersion + hex.EncodeToString(sum[:])
}

func (c Check) withoutCredentials() Check {
	if c.HTTP != nil {
		http := *c.HTTP
		http.Header = nil
		c.HTTP = &http
	}
	return c
}

// Verifies reports that a revision has to pass something before it is known-good.
func (g Policy) Verifies() bool {
	return len(g.SmokeTests) > 0 || g.Analysis != nil || g.Acceptance != nil
}

// Has reports that the policy has a stage.
func (g Policy) Has(stage string) bool {
	switch stage {
	case StageSmokeTest:
		return len(g.SmokeTests) > 0
	case StageAnalysis:
		return g.Analysis != nil
	}
	return g.Acceptance != nil
}

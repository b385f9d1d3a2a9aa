// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

// makeSamplers makes the checks of an analysis. The queries of policy hold no placeholders any more. release frees what the checks hold
// on to.
func makeSamplers(ctx context.Context, env Environment, a *Analysis, policy analysis.Policy) (
	made []analysis.Sampler, release func(), err error,
) {
	var closers []func()
	release = func() {
		for _, c := range closers {
			c()
		}
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	p := &problems{}
	if a.Pods != nil {
		pods, err := newReleasePods(ctx, env, *a.Pods)
		if err != nil {
			return nil, release, err
		}
		made = append(made, pods)
	}
	p.block = "analysis.health.http"
	for i := range a.Probes {
		p.index = i
		probe, done, err := a.Probes[i].probe(env.Target)
		if err != nil {
			p.config("", err)
			continue
		}
		closers = append(closers, done)
		made = append(made, probe)
	}
	if metrics := policy.Queried(); len(metrics) > 0 {
		p.block, p.index = "analysis.prometheus", 0
		if a.Prometheus == nil {
			p.add(true, "", "there is none, and %d metrics need it.", len(metrics))
		} else if client, err := a.Prometheus.connect(env.Target); err != nil {
			p.config("", err)
		} else {
			closers = append(closers, client.Close)
			for _, m := range metrics {
				interval := m.Interval
				if interval == 0 {
					interval = policy.Interval
				}
				made = append(made, client.Metric(m, interval))
			}
		}
	}
	if len(p.list) > 0 {
		return nil, release, &AnalysisConfigError{Problems: p.list}
	}
	for i, s := range made {
		made[i] = scrubbed(s, env.Secrets)
	}
	return made, release, nil
}

// scrubbed takes a release's secrets out of what a sampler saw: a container's last words may hold one.
func scrubbed(s analysis.Sampler, secrets *redact.Secrets) analysis.Sampler {
	clean := &cleanSampler{Sampler: s, secrets: secrets}
	if historian, ok := s.(analysis.Historian); ok {
		return &cleanHistorian{cleanSampler: clean, historian: historian}
	}
	return clean
}

type cleanSampler struct {
	analysis.Sampler
	secrets *redact.Secrets
}

// Sample implements analysis.Sampler.
func (c *cleanSampler) Sample(ctx context.Context) analysis.Sample {
	s := c.Sampler.Sample(ctx)
	s.Evidence = c.secrets.Text(s.Evidence)
	return s
}

type cleanHistorian struct {
	*cleanSampler
	historian analysis.Historian
}

// History implements analysis.Historian.
func (c *cleanHistorian) History(ctx context.Context, from, to time.Time) ([]analysis.Sample, error) {
	past, err := c.historian.History(ctx, from, to)
	for i := range past {
		past[i].Evidence = c.secrets.Text(past[i].Evidence)
	}
	return past, err
}

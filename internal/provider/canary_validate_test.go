// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// validatedSplit returns the diagnostics of a split's configuration, each as "path: text".
func validatedSplit(t *testing.T, arguments body) []string {
	t.Helper()
	var resp resource.SchemaResponse
	NewCanaryResource().Schema(t.Context(), resource.SchemaRequest{}, &resp)
	config := body{
		"environment": body{"client": "client-a", "stage": "prod", "cluster": body{"context": "c"}, "namespace": body{"name": "n"}},
		"name":        "app", "weight": 10,
		"istio":  body{"host": "app"},
		"stable": body{"labels": body{"track": "stable"}}, "canary": body{"labels": body{"track": "canary"}},
	}
	for name, v := range arguments {
		config[name] = v
	}
	return validatedAs(t, "slipway_canary", resp.Schema.Type().TerraformType(t.Context()), config)
}

func TestCanary_WhatWouldBeRefusedFailsAtItsArgument(t *testing.T) {
	t.Parallel()
	services := func(more body) body {
		out := body{
			"istio":       nil,
			"stable":      body{"service": "a", "port": 80},
			"canary":      body{"service": "b", "port": 80},
			"gateway_api": body{"parent": body{"kind": "Service", "name": "app"}},
		}
		for name, v := range more {
			out[name] = v
		}
		return out
	}
	analyzed := func(more body) body {
		out := body{"duration": "5m", "prometheus": body{"url": "http://prometheus.monitoring:9090"}}
		for name, v := range more {
			out[name] = v
		}
		return body{"analysis": out}
	}
	share := func(more body) body {
		out := body{"canary_query": "sum(increase(requests_total{v='2'}[1m]))", "stable_query": "sum(increase(requests_total{v='1'}[1m]))"}
		for name, v := range more {
			out[name] = v
		}
		return analyzed(body{"sample_ratio": out})
	}
	compared := func(more, with body) body {
		baseline := body{"query": "b", "max_ratio": 2}
		for name, v := range with {
			baseline[name] = v
		}
		out := body{"name": "errors", "query": "a", "for": "1m", "baseline": baseline}
		for name, v := range more {
			out[name] = v
		}
		return analyzed(body{"metric": out})
	}
	headers := func(name, value string) body { return body{"headers": body{"canary": "true", name: value}} }
	for name, test := range map[string]struct {
		arguments body
		at, says  string
	}{
		"capitals":              {headers("X-Canary", "1"), "headers[X-Canary]", `write "x-canary"`},
		"the same in capitals":  {headers("Canary", "true"), "headers[Canary]", `write "canary"`},
		"a pseudo header":       {headers(":authority", "a"), "headers[:authority]", "fields of their own"},
		"the host":              {headers("host", "a"), "headers[host]", "route's hosts"},
		"a space":               {headers("x canary", "1"), "headers[x canary]", "no name of an HTTP header"},
		"a claim of a token":    {headers("@request.auth.claims.sub", "1"), "headers[@request.auth.claims.sub]", "no name of an HTTP header"},
		"not ASCII":             {headers("größe", "1"), "headers[größe]", "no name of an HTTP header"},
		"no name":               {headers("", "1"), "headers[]", "The name is empty"},
		"a long name":           {headers(strings.Repeat("a", 257), "1"), "headers[aaa", "257 characters"},
		"no value":              {headers("x-a", ""), "headers[x-a]", `Header "x-a": The value is empty`},
		"a long value":          {headers("x-a", strings.Repeat("a", 4097)), "headers[x-a]", "4097 bytes"},
		"a line break":          {headers("x-a", "a\nb"), "headers[x-a]", "control character"},
		"a space at the end":    {headers("x-a", "a "), "headers[x-a]", "at its beginning or end"},
		"next to what is not":   {body{"weight": unknown, "headers": body{"x-a": unknown, "X": "1"}}, "headers[X]", `write "x"`},
		"with the Gateway API":  {services(headers("X", "1")), "headers[X]", `write "x"`},
		"a host":                {body{"istio": body{"host": "*.example.com"}}, "istio[0].host", "matches many hosts"},
		"a gateway":             {body{"istio": body{"host": "app", "gateways": []any{"mesh", "a b"}}}, "istio[0].gateways[1]", "no gateway"},
		"a VirtualService only": {body{"istio": body{"host": "app", "virtual_service": "edge"}}, "istio[0].route", "no route in it"},
		"labels":                {body{"canary": body{"labels": body{"track": "stable"}}}, "canary[0].labels", "both tracks"},
		"a subset": {
			body{"stable": body{"labels": body{"track": "stable"}, "subset": "A"}}, "stable[0].subset", "no name of a subset",
		},
		"a step": {
			body{"weight": 90, "step": []any{body{"weight": 50}, body{"weight": 20}}}, "step[1].weight", "steps go upwards",
		},
		"a parent": {
			services(body{"gateway_api": body{"parent": []any{body{"kind": "Service", "name": "a"}, body{"kind": "Ingress", "name": "a"}}}}),
			"gateway_api[0].parent[1].kind", "neither Service nor Gateway",
		},
		"a place": {
			services(body{"gateway_api": body{"http_route": "edge", "rule_index": 16}}), "gateway_api[0].rule_index",
			"at most 16",
		},
		"a share of nobody": {
			body{"analysis": body{"sample_ratio": body{"canary_query": "increase(a[1m])", "stable_query": "increase(b[1m])"}}},
			"analysis[0].sample_ratio[0]", "no prometheus block",
		},
		"a share's query": {share(body{"canary_query": "sum(increase(a[1m])"}), "analysis[0].sample_ratio[0].canary_query", "parse error"},
		"a share's placeholder": {
			share(body{"stable_query": "increase(a{v='{{ release'}[1m])"}), "analysis[0].sample_ratio[0].stable_query",
			"not closed",
		},
		"a share for too short": {share(body{"for": "30s"}), "analysis[0].sample_ratio[0].for", "look back"},
		"a share for too long":  {share(body{"for": "5m"}), "analysis[0].sample_ratio[0].for", "could never fail"},
		"a share without time": {
			share(body{"canary_query": "a:requests", "stable_query": "b:requests"}), "analysis[0].sample_ratio[0].for",
			"the time over which",
		},
		"a significance":     {share(body{"significance": 0.2}), "analysis[0].sample_ratio[0].significance", "at most 0.1"},
		"a tolerance":        {share(body{"tolerance": 1}), "analysis[0].sample_ratio[0].tolerance", "below 1"},
		"a version":          {share(body{"canary_query": "increase(a{v='{{ version }}'}[1m])"}), "analysis[0]", "no version of its own"},
		"a limit twice":      {compared(body{"above": 0.1}, nil), "analysis[0].metric[0].above", "exclude each other"},
		"a ratio":            {compared(nil, body{"max_ratio": 0}), "analysis[0].metric[0].baseline[0].max_ratio", "above zero"},
		"a baseline's query": {compared(nil, body{"query": "sum("}), "analysis[0].metric[0].baseline[0].query", "parse error"},
		"no limit at all": {
			analyzed(body{"metric": body{"name": "errors", "query": "a", "for": "1m"}}), "analysis[0].metric[0].above",
			"or a baseline is missing",
		},
		"a route without rule": {services(body{"gateway_api": body{"http_route": "edge"}}), "gateway_api[0].rule", "no rule in it"},
		"a track's Service": {
			body{"stable": body{"labels": body{"track": "stable"}, "service": "a"}}, "stable[0].service",
			"leave service and port out",
		},
		"a host twice": {body{"istio": body{"host": "app", "hosts": []any{"app"}}}, "istio[0].hosts[0]", "given twice"},
		"a name":       {body{"name": "a.b"}, "name", "no name of a split"},
	} {
		problems := validatedSplit(t, test.arguments)
		if len(problems) != 1 || !strings.HasPrefix(problems[0], test.at) || !strings.Contains(problems[0], test.says) {
			t.Errorf("%s: want one problem at %s that says %q, got:\n%s", name, test.at, test.says, strings.Join(problems, "\n"))
		}
	}
	for name, arguments := range map[string]body{
		"headers": {"headers": body{"canary": "true", "x_y.z~1": "a b\tc ü", "x-unknown": unknown}}, "services": services(nil),
		"not known":                 {"headers": unknown},
		"a share":                   share(nil),
		"a share that is not known": share(body{"canary_query": unknown, "for": unknown, "significance": unknown, "min_requests": unknown}),
		"a comparison":              compared(nil, body{"max_difference": 0.01}),
		"a comparison that is not known": compared(body{"above": unknown, "query": unknown},
			body{"query": unknown, "max_ratio": unknown, "requests_query": unknown}),
	} {
		if problems := validatedSplit(t, arguments); len(problems) > 0 {
			t.Errorf("%s: %s", name, strings.Join(problems, "\n"))
		}
	}
}

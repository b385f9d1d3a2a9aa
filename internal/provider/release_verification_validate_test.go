// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// block is the body of a block or object in a test's configuration; unknown a value that is not known yet.
type body map[string]any

type notKnown struct{}

var unknown notKnown

func releaseSchema(t *testing.T) schema.Schema {
	t.Helper()
	var resp resource.SchemaResponse
	NewReleaseResource().Schema(t.Context(), resource.SchemaRequest{}, &resp)
	if resp.Diagnostics.HasError() {
		t.Fatal(resp.Diagnostics)
	}
	return resp.Schema
}

// value is v as Terraform would send it: arguments that are left out are null, blocks an empty list.
func value(t *testing.T, of tftypes.Type, v any) tftypes.Value {
	t.Helper()
	if _, ok := v.(notKnown); ok {
		return tftypes.NewValue(of, tftypes.UnknownValue)
	}
	switch of := of.(type) {
	case tftypes.Object:
		given, ok := v.(body)
		if !ok {
			return tftypes.NewValue(of, nil)
		}
		values := map[string]tftypes.Value{}
		for name, attribute := range of.AttributeTypes {
			values[name] = value(t, attribute, given[name])
		}
		for name := range given {
			if _, ok := of.AttributeTypes[name]; !ok {
				t.Fatalf("there is no argument %q", name)
			}
		}
		return tftypes.NewValue(of, values)
	case tftypes.List:
		var elements []tftypes.Value
		switch v := v.(type) {
		case nil:
			if !of.ElementType.Is(tftypes.Object{}) {
				return tftypes.NewValue(of, nil)
			}
		case body:
			elements = append(elements, value(t, of.ElementType, v))
		case []any:
			for _, e := range v {
				elements = append(elements, value(t, of.ElementType, e))
			}
		default:
			t.Fatalf("%T is no list", v)
		}
		return tftypes.NewValue(of, elements)
	case tftypes.Map:
		given, ok := v.(body)
		if !ok {
			return tftypes.NewValue(of, nil)
		}
		elements := map[string]tftypes.Value{}
		for name, e := range given {
			elements[name] = value(t, of.ElementType, e)
		}
		return tftypes.NewValue(of, elements)
	}
	return tftypes.NewValue(of, v)
}

// validated returns the diagnostics of a release's configuration, each as "path: text".
func validated(t *testing.T, arguments body) []string {
	t.Helper()
	config := body{
		"environment": body{"client": "client-a", "stage": "prod", "cluster": body{"context": "c"}, "namespace": body{"name": "n"}},
		"chart":       body{"path": "chart"},
	}
	for name, v := range arguments {
		config[name] = v
	}
	return validatedAs(t, "slipway_release", releaseSchema(t).Type().TerraformType(t.Context()), config)
}

// validatedAs returns the diagnostics of a resource's configuration, each as "path: text".
func validatedAs(t *testing.T, resourceType string, of tftypes.Type, config body) []string {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := tfprotov6.NewDynamicValue(of, value(t, of, config))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: resourceType, Config: &encoded,
		ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range resp.Diagnostics {
		out = append(out, pathText(d.Attribute)+": "+d.Summary+": "+d.Detail)
	}
	slices.Sort(out)
	return out
}

// pathText is a path as people write it: analysis[0].metric[1].for.
func pathText(path *tftypes.AttributePath) string {
	var b strings.Builder
	for _, step := range path.Steps() {
		switch step := step.(type) {
		case tftypes.AttributeName:
			if b.Len() > 0 {
				b.WriteString(".")
			}
			b.WriteString(string(step))
		case tftypes.ElementKeyInt:
			fmt.Fprintf(&b, "[%d]", int64(step))
		default:
			fmt.Fprintf(&b, "[%v]", step)
		}
	}
	return b.String()
}

// metric is the strategy's rule: an error rate above 5 % for 2 minutes.
func metric(changes body) body {
	m := body{"name": "error_rate", "query": "up", "above": 0.05, "for": "2m"}
	for name, v := range changes {
		if v == nil {
			delete(m, name)
			continue
		}
		m[name] = v
	}
	return m
}

var inCluster = body{"service": body{"namespace": "monitoring", "name": "prometheus", "port": "9090"}}

func watched(m body) body {
	return body{"analysis": body{"prometheus": inCluster, "metric": m}}
}

func TestReleaseVerification_WhatMakesSenseIsAccepted(t *testing.T) {
	http := body{"name": "readyz", "service": body{"name": "app", "port": "http", "path": "/readyz"}}
	job := body{"image": "registry.company.com/smoke:v1", "command": []any{"/smoke"}, "env": body{"A": "b"}}
	for name, arguments := range map[string]body{
		"nothing":           {},
		"an empty analysis": {"analysis": body{}},
		"an empty rollback": {"rollback": body{}},
		"the strategy's triggers": {
			"analysis": body{"health": body{"consecutive_failures": 3}, "prometheus": inCluster, "metric": metric(nil)},
			"rollback": body{},
		},
		"the first failure triggers": {"analysis": body{"health": body{"consecutive_failures": 0}}},
		"all kinds of smoke test": {"smoke_test": []any{
			body{"name": "a", "helm_test": body{}}, body{"name": "b", "http": body{"url": "https://a.b/c"}},
			body{"name": "c", "job": job},
		}},
		"an acceptance": {"acceptance": body{"job": job, "timeout": "10m"}},
		"everything about health": {
			"analysis": body{"health": body{"error_budget": "0s", "pods": body{"min_ready": 2, "grace": "2m"}, "http": http}},
		},
		"credentials for an address": {"analysis": body{
			"prometheus": body{"url": "https://p.company.com", "username": "u", "password_wo": "p"}, "metric": metric(nil),
		}},
		"the longest of all, permitted": {"analysis": body{"duration": "2h"}, "max_apply": "3h"},
		"an unknown metric":             watched(metric(body{"name": unknown, "query": unknown, "above": unknown, "for": unknown})),
		"either limit may be unknown":   watched(metric(body{"below": unknown})),
		"either span may be unknown":    watched(metric(body{"over": unknown})),
		"unknown limits of time": {"analysis": body{
			"duration": unknown, "interval": unknown, "prometheus": inCluster, "metric": metric(body{"for": "90m"}),
		}},
		"unknown blocks":               {"analysis": body{"prometheus": unknown, "metric": unknown}, "smoke_test": unknown, "rollback": unknown},
		"an unknown analysis":          {"analysis": unknown},
		"an unknown address":           {"analysis": body{"prometheus": body{"url": unknown, "bearer_token_wo": unknown}, "metric": metric(nil)}},
		"an unknown choice of a check": {"smoke_test": body{"name": "a", "http": unknown}},
		"unknown requests":             watched(metric(body{"min_requests": 5, "requests_query": unknown})),
	} {
		t.Run(name, func(t *testing.T) {
			if problems := validated(t, arguments); len(problems) > 0 {
				t.Errorf("refused:\n%s", strings.Join(problems, "\n"))
			}
		})
	}
}

func TestReleaseVerification_WhatMakesNoSenseIsRefusedAtItsArgument(t *testing.T) {
	job := body{"image": "i"}
	for name, tc := range map[string]struct {
		arguments body
		at, says  string
	}{
		"no duration":             {body{"analysis": body{"duration": "soon"}}, "analysis[0].duration", `"soon" is no duration`},
		"a duration of nothing":   {body{"analysis": body{"duration": "0s"}}, "analysis[0].duration", "not positive"},
		"a number without a unit": {body{"rollback": body{"timeout": "300"}}, "rollback[0].timeout", "no duration"},
		"a negative budget": {
			body{"analysis": body{"health": body{"error_budget": "-1s"}}}, "analysis[0].health[0].error_budget", "too short",
		},
		"an interval under a second": {body{"analysis": body{"interval": "100ms"}}, "analysis[0].interval", "the shortest is 1s"},
		"two analyses":               {body{"analysis": []any{body{}, body{}}}, "analysis", "at most 1"},
		"a choice that there is not": {body{"analysis": body{"on_inconclusive": "maybe"}}, "analysis[0].on_inconclusive", "maybe"},
		"failures that cannot happen": {
			body{"analysis": body{"duration": "20s", "health": body{}}}, "analysis[0].health[0].consecutive_failures",
			"could never fail",
		},
		"failures, with an unknown else": {
			body{"analysis": body{"duration": "20s", "on_inconclusive": unknown}}, "analysis[0].health[0].consecutive_failures",
			"could never fail",
		},
		"no query":                    {watched(metric(body{"query": " "})), "analysis[0].metric[0].query", "missing"},
		"no limit":                    {watched(metric(body{"above": nil})), "analysis[0].metric[0].above", "set the limit"},
		"two limits":                  {watched(metric(body{"below": 0.5})), "analysis[0].metric[0].below", "exclude"},
		"no span":                     {watched(metric(body{"for": nil})), "analysis[0].metric[0].for", "over is missing"},
		"two spans":                   {watched(metric(body{"over": "1m"})), "analysis[0].metric[0].over", "exclude"},
		"a span over the duration":    {watched(metric(body{"for": "10m"})), "analysis[0].metric[0].for", "longer than the duration"},
		"a reducer that there is not": {watched(metric(body{"reduce": "avg"})), "analysis[0].metric[0].reduce", "avg"},
		"requests without a query": {
			watched(metric(body{"min_requests": 5})), "analysis[0].metric[0].requests_query", "needs requests_query",
		},
		"two metrics of one name": {
			body{"analysis": body{"prometheus": inCluster, "metric": []any{metric(nil), metric(nil)}}},
			"analysis[0].metric[1].name", `called "error_rate"`,
		},
		"two Prometheuses": {
			body{"analysis": body{"prometheus": body{"url": "http://a", "service": inCluster["service"]}}},
			"analysis[0].prometheus[0].url", "exactly one",
		},
		"a Prometheus nowhere": {
			body{"analysis": body{"prometheus": body{}}}, "analysis[0].prometheus[0].url", "exactly one of service and url",
		},
		"credentials next to a Service": {
			body{"analysis": body{"prometheus": body{"service": inCluster["service"], "bearer_token_wo": "t"}}},
			"analysis[0].prometheus[0]", "give the address of Prometheus",
		},
		"a password in an address": {
			body{"analysis": body{"prometheus": body{"url": "https://u:hunter2@p"}}}, "analysis[0].prometheus[0].url",
			"kept in the state",
		},
		"an address without a scheme": {
			body{"analysis": body{"prometheus": body{"url": "prometheus:9090"}}}, "analysis[0].prometheus[0].url",
			"http or https",
		},
		"a probe of nothing": {
			body{"analysis": body{"health": body{"http": body{"name": "a"}}}}, "analysis[0].health[0].http[0].url", "exactly one",
		},
		"a status that there is not": {
			body{"analysis": body{"health": body{"http": body{"name": "a", "url": "http://a", "statuses": []any{20}}}}},
			"analysis[0].health[0].http[0].statuses", "not an HTTP status",
		},
		"a path without a slash": {
			body{"smoke_test": body{"name": "a", "http": body{"service": body{"name": "a", "port": "80", "path": "readyz"}}}},
			"smoke_test[0].http[0].service[0].path", "slash",
		},
		"a test of nothing": {body{"smoke_test": body{"name": "a"}}, "smoke_test[0]", `smoke_test[0] ("a"): it has none of helm_test, http and job. Add one of these blocks.`},
		"one of five tests of nothing": {
			body{"smoke_test": []any{
				body{"name": "a", "job": job}, body{"name": "b", "job": job}, body{"name": "c", "job": job}, body{"name": "d"},
				body{"name": "e", "job": job},
			}}, "smoke_test[3]", `smoke_test[3] ("d"): it has none of`,
		},
		"a chart without path and repository":      {body{"chart": body{}}, "chart", "chart has neither path nor repository."},
		"a chart with path and repository":         {body{"chart": body{"path": "a", "repository": "https://a"}}, "chart.repository", "chart.repository: cannot be given together with path"},
		"a chart of a repository without its name": {body{"chart": body{"repository": "https://a", "version": "1.0.0"}}, "chart.name", "chart.name: the name of the chart"},
		"a chart with a range of versions": {
			body{"chart": body{"repository": "https://a", "name": "b", "version": "^1.2"}}, "chart.version", `chart.version: "^1.2" is no exact version`,
		},
		"an element of a list by its place": {
			body{"detect_drift": true, "drift_ignore": body{"paths": []any{"spec.template.spec.containers[0].image"}}},
			"drift_ignore[0]", "containers[app]",
		},
		"an element of a list by its place in a pointer": {
			body{"detect_drift": true, "drift_ignore": body{"paths": []any{"/spec/template/spec/containers/0/image"}}},
			"drift_ignore[0]", "containers[app]",
		},
		"values_wo without a version": {
			body{"values_wo": unknown}, "values_wo", "values_wo_version is not set",
		},
		"ignored drift without detection": {
			body{"drift_ignore": body{"kind": "Deployment"}}, "drift_ignore", "detect_drift",
		},
		"a test of two kinds": {
			body{"smoke_test": body{"name": "a", "job": job, "helm_test": body{}}}, "smoke_test[0]", "it has helm_test and job. Keep one",
		},
		"two tests of one name": {
			body{"smoke_test": []any{body{"name": "a", "job": job}, body{"name": "a", "job": job}}}, "smoke_test[1].name",
			`called "a"`,
		},
		"an acceptance of nothing":        {body{"acceptance": body{}}, "acceptance[0]", "job"},
		"hooks that are neither":          {body{"rollback": body{"hooks": "maybe"}}, "rollback[0].hooks", "maybe"},
		"no Prometheus":                   {body{"analysis": body{"metric": metric(nil)}}, "analysis[0].metric[0]", "no prometheus block"},
		"a query that is none":            {watched(metric(body{"query": "sum(up"})), "analysis[0].metric[0].query", ""},
		"a placeholder that there is not": {watched(metric(body{"query": "up{a=\"{{ pod }}\"}"})), "analysis[0].metric[0].query", "pod"},
		"a variable of Slipway's": {
			body{"smoke_test": body{"name": "a", "job": body{"image": "i", "env": body{"SLIPWAY_STAGE": "x"}}}},
			"smoke_test[0].job[0].env", "SLIPWAY_STAGE",
		},
		"longer than max_apply": {
			body{"analysis": body{"duration": "40m"}, "rollback": body{}}, "max_apply",
			"rollout 5m + analysis 40m40s + rollback and its validation 5m",
		},
		"timeouts count": {body{"timeouts": body{"update": "50m"}}, "max_apply", "rollout 50m"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := validated(t, tc.arguments)
			if len(problems) != 1 || !strings.HasPrefix(problems[0], tc.at+": ") || !strings.Contains(problems[0], tc.says) {
				t.Errorf("want one problem at %s that says %q, got:\n%s", tc.at, tc.says, strings.Join(problems, "\n"))
			}
			if text := strings.Join(problems, ""); strings.Contains(text, "hunter2") {
				t.Errorf("the problem shows the password: %s", text)
			}
		})
	}
}

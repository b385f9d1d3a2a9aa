// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"slices"
	"strings"
	"testing"
)

func fields(problems []Problem) string {
	out := make([]string, 0, len(problems))
	for _, problem := range problems {
		out = append(out, problem.Field)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestValidateSplit_FindsWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		split Split
		want  string
	}{
		"fine":               {Split{Weight: 100, Headers: []HeaderMatch{onTrue, {Name: "x_y.z~1", Value: "a b\tc ü"}}}, ""},
		"below zero":         {Split{Weight: -1}, "weight"},
		"over a hundred":     {Split{Weight: 101}, "weight"},
		"capitals":           {Split{Headers: []HeaderMatch{{Name: "X-Canary", Value: "1"}}}, "headers[0].name"},
		"space":              {Split{Headers: []HeaderMatch{onTrue, {Name: "x canary", Value: "1"}}}, "headers[1].name"},
		"colon":              {Split{Headers: []HeaderMatch{{Name: ":path", Value: "/"}}}, "headers[0].name"},
		"not ASCII":          {Split{Headers: []HeaderMatch{{Name: "größe", Value: "1"}}}, "headers[0].name"},
		"no name":            {Split{Headers: []HeaderMatch{{Value: "1"}}}, "headers[0].name"},
		"host":               {Split{Headers: []HeaderMatch{{Name: "host", Value: "a"}}}, "headers[0].name"},
		"long name":          {Split{Headers: []HeaderMatch{{Name: strings.Repeat("a", 257), Value: "1"}}}, "headers[0].name"},
		"no value":           {Split{Headers: []HeaderMatch{{Name: "canary"}}}, "headers[0].value"},
		"line break":         {Split{Headers: []HeaderMatch{{Name: "canary", Value: "a\nb"}}}, "headers[0].value"},
		"space at the end":   {Split{Headers: []HeaderMatch{{Name: "canary", Value: "true "}}}, "headers[0].value"},
		"long value":         {Split{Headers: []HeaderMatch{{Name: "canary", Value: strings.Repeat("a", 4097)}}}, "headers[0].value"},
		"twice":              {Split{Headers: []HeaderMatch{onTrue, onTrue}}, "headers[1]"},
		"two values are two": {Split{Headers: []HeaderMatch{onTrue, {Name: "canary", Value: "yes"}}}, ""},
	} {
		if got := fields(ValidateSplit(test.split)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestIstioConfig_FindsWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*IstioConfig)
		want   string
	}{
		"fine": {func(*IstioConfig) {}, ""},
		"full host and gateway": {func(c *IstioConfig) {
			c.Host, c.Gateways, c.Hosts = "a.dc.svc.cluster.local", []string{"mesh", "infra/public"}, []string{"*.example.com"}
		}, ""},
		"no name":                  {func(c *IstioConfig) { c.Owner.Name = "" }, "name"},
		"name with a dot":          {func(c *IstioConfig) { c.Owner.Name = "a.b" }, "name"},
		"no host":                  {func(c *IstioConfig) { c.Host = "" }, "host"},
		"wildcard":                 {func(c *IstioConfig) { c.Host = "*.example.com" }, "host"},
		"capital host":             {func(c *IstioConfig) { c.Host = "Data" }, "host"},
		"gateway":                  {func(c *IstioConfig) { c.Gateways = []string{"a b"} }, "gateways[0]"},
		"same subset":              {func(c *IstioConfig) { c.Canary.Subset = "v1" }, "canary.subset"},
		"subset":                   {func(c *IstioConfig) { c.Canary.Subset = "V 2" }, "canary.subset"},
		"no labels":                {func(c *IstioConfig) { c.Stable.Labels = nil }, "stable.labels"},
		"no label":                 {func(c *IstioConfig) { c.Stable.Labels = map[string]string{"a b": "c"} }, "stable.labels"},
		"labels not distinguished": {func(c *IstioConfig) { c.Canary.Labels = map[string]string{"other": "x"} }, "canary.labels"},
		"shared with hosts":        {func(c *IstioConfig) { c.Route, c.Hosts = "primary", []string{"a"} }, "route"},
		"host twice":               {func(c *IstioConfig) { c.Hosts = []string{"a.example.com", c.Host} }, "hosts[1]"},
		"a track's Service":        {func(c *IstioConfig) { c.Canary.Service = "app-canary" }, "canary.service"},
		"shared without route":     {func(c *IstioConfig) { c.VirtualService = "shared" }, "route"},
	} {
		config := istioConfig("")
		test.change(&config)
		if got := fields(config.Validate()); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if _, err := NewIstio(nil, noClient{}, config); (err != nil) != (test.want != "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGatewayConfig_FindsWhatCannotWork(t *testing.T) {
	t.Parallel()
	minus, one := -1, 1
	for name, test := range map[string]struct {
		change func(*GatewayConfig)
		want   string
	}{
		"fine": {func(*GatewayConfig) {}, ""},
		"gateway": {func(c *GatewayConfig) {
			c.Parents = []Parent{{Kind: "Gateway", Name: "public", Namespace: "infra", SectionName: "https"}}
			c.Hostnames = []string{"*.example.com"}
		}, ""},
		"no parent":          {func(c *GatewayConfig) { c.Parents = nil }, "parents"},
		"parent's kind":      {func(c *GatewayConfig) { c.Parents[0].Kind = "Ingress" }, "parents[0].kind"},
		"parent's name":      {func(c *GatewayConfig) { c.Parents[0].Name = "" }, "parents[0].name"},
		"hostname":           {func(c *GatewayConfig) { c.Hostnames = []string{"a_b"} }, "hostnames[0]"},
		"no service":         {func(c *GatewayConfig) { c.Stable.Service = "" }, "stable.service"},
		"port":               {func(c *GatewayConfig) { c.Canary.Port = 0 }, "canary.port"},
		"same service":       {func(c *GatewayConfig) { c.Canary.Service = "app-stable" }, "canary.service"},
		"name and place":     {func(c *GatewayConfig) { c.Parents, c.Rule, c.RuleIndex = nil, "a", &one }, "rule_index"},
		"place":              {func(c *GatewayConfig) { c.Parents, c.RuleIndex = nil, &minus }, "rule_index"},
		"shared with parent": {func(c *GatewayConfig) { c.Rule = "a" }, "parents"},
		"named without rule": {func(c *GatewayConfig) { c.HTTPRoute, c.Parents = "shared", nil }, "rule"},
		"a track's labels":   {func(c *GatewayConfig) { c.Stable.Labels = map[string]string{"a": "b"} }, "stable.labels"},
	} {
		config := gatewayConfig("", nil)
		test.change(&config)
		if got := fields(config.Validate()); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

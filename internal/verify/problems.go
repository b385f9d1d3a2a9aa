// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

// ConfigProblem is one thing that is wrong, in the words of the configuration.
type ConfigProblem struct {
	// Block is "smoke_test", "acceptance", "analysis.health.http", "analysis.health.pods", "analysis.metric" or
	// "analysis.prometheus"; Index is its place among its kind.
	Block string
	Index int
	// Name is the argument name of the block; empty if it has none.
	Name string
	// Field is the argument within the block, for example "service.port"; empty where it is the block itself.
	Field string
	// Text says what is wrong and what to do, without values that may be secret.
	Text string
}

// Where names the argument, or the block: smoke_test[2].http.url ("ready").
func (p ConfigProblem) Where() string {
	where := fmt.Sprintf("%s[%d]", p.Block, p.Index)
	if p.Field != "" {
		where += "." + p.Field
	}
	if p.Name != "" {
		where += fmt.Sprintf(" (%q)", p.Name)
	}
	return where
}

func problemText(problems []ConfigProblem) string {
	lines := make([]string, 0, len(problems))
	for _, p := range problems {
		lines = append(lines, p.Where()+": "+p.Text)
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong with a configuration.
type problems struct {
	block string
	index int
	name  string
	list  []ConfigProblem
}

func (p *problems) add(wrong bool, field, format string, values ...any) {
	if wrong {
		p.list = append(p.list,
			ConfigProblem{Block: p.block, Index: p.index, Name: p.name, Field: field, Text: fmt.Sprintf(format, values...)})
	}
}

func (p *problems) check(c Check) {
	p.add(strings.TrimSpace(c.Name) == "", "name", "it has no name.")
	p.add(c.Timeout < 0, "timeout", "it is negative.")
	var kinds []string
	for kind, set := range map[string]bool{"helm_test": c.HelmTest != nil, "http": c.HTTP != nil, "job": c.Job != nil} {
		if set {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	p.add(len(kinds) == 0, "", "it has none of helm_test, http and job. Add one of these blocks.")
	p.add(len(kinds) > 1, "", "it has %s. Keep one of these blocks.", strings.Join(kinds, " and "))
	if c.HTTP != nil {
		p.request("http.", c.HTTP)
		p.add(c.HTTP.Contains != "" && slices.ContainsFunc(c.HTTP.Statuses, bodiless), "http.contains",
			"an answer with status 204 or 304 has no body.")
	}
	if c.Job != nil {
		p.job(c.Job)
	}
}

func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func (p *problems) job(j *JobCheck) {
	p.add(strings.TrimSpace(j.Image) == "", "job.image", "it is empty.")
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		p.add(!environmentName.MatchString(name), "job.env", "%q is not the name of an environment variable.", name)
		p.add(strings.HasPrefix(name, "SLIPWAY_"), "job.env", "%s is set by Slipway itself.", name)
	}
}

// request checks what HTTP checks of all kinds have in common. The address of the API server is not needed for it.
func (p *problems) request(prefix string, h *HTTPCheck) {
	p.add((h.Service == nil) == (h.URL == ""), prefix+"url", "exactly one of service and url is needed.")
	probe := &analysis.HTTPProbe{URL: h.URL, Client: http.DefaultClient, Statuses: h.Statuses, Timeout: h.Timeout}
	if h.Service != nil {
		p.service(prefix+"service.", *h.Service)
		p.add(len(http.Header(canonical(h.Header))["Authorization"]) > 0, prefix+"headers_wo",
			"Authorization would be taken for a credential of the API server, through which the Service is asked: give a url.")
		probe.URL = "http://service"
	}
	p.config(prefix, probe.Validate())
}

func (p *problems) service(prefix string, s analysis.Service) {
	if s.Namespace == "" {
		s.Namespace = "environment"
	}
	_, err := analysis.ProxyAddress("https://cluster", s)
	p.config(strings.TrimSuffix(prefix, "service."), err)
}

// config adds what package analysis says of a sampler, whose names for fields are nearly those of the configuration.
func (p *problems) config(prefix string, err error) {
	if err == nil {
		return
	}
	config, ok := err.(*analysis.ConfigError)
	if !ok {
		p.add(true, strings.TrimSuffix(prefix, "."), "%s.", err)
		return
	}
	field := config.Field
	for _, block := range []string{"http", "prometheus"} {
		if field == block {
			field = ""
		}
		field = strings.TrimPrefix(field, block+".")
	}
	if argument, other := argumentNames[field]; other {
		field = argument
	}
	p.add(true, strings.TrimSuffix(prefix+field, "."), "%s.", config.Problem)
}

// argumentNames are those of the configuration for fields of package analysis that are called otherwise.
var argumentNames = map[string]string{"address": "url", "ca": "ca_pem", "headers": "headers_wo", "bearer_token": "bearer_token_wo"}

// syntax checks a query without its values. What is missing is said by the policy.
func (p *problems) syntax(field, query string) {
	if strings.TrimSpace(query) == "" {
		return
	}
	expanded, err := ExpandQuery(query, QueryValues{Namespace: "n", Release: "r", Client: "c", Stage: "s", Version: "v"})
	if err == nil {
		err = analysis.ParseQuery(expanded)
	}
	p.query(field, err)
}

// query adds what is wrong with a query.
func (p *problems) query(field string, err error) {
	var placeholder *PlaceholderError
	var query *analysis.QueryError
	switch {
	case errors.As(err, &placeholder):
		p.add(true, field, "{{ %s }}: %s.", placeholder.Placeholder, placeholder.Problem)
	case errors.As(err, &query):
		p.add(true, field, "%s.", query.Problem)
	}
}

func canonical(h http.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range h {
		out[http.CanonicalHeaderKey(name)] = values
	}
	return out
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// QueryValues are what the placeholders of a query stand for.
type QueryValues struct {
	Namespace, Release, Client, Stage, Version string
}

// queryValuesOf are the values for queries on a release.
func queryValuesOf(t ownership.Release, version string) QueryValues {
	return QueryValues{Namespace: t.Handle.Namespace, Release: t.Name, Client: t.Handle.Client, Stage: t.Handle.Stage, Version: version}
}

// ExpandQuery fills in the placeholders {{ namespace }}, {{ release }}, {{ client }}, {{ stage }} and {{ version }} of a PromQL query.
// They stand in the value of a label: namespace="{{ namespace }}". A value is written so that it means itself and nothing else: escaped as
// the quotes around it need, and as a regular expression after =~ and !~. The error is a *PlaceholderError: an unknown
// placeholder, one outside quotes, or one whose value is not known.
func ExpandQuery(query string, values QueryValues) (string, error) {
	var out strings.Builder
	q := quoting{}
	for i := 0; i < len(query); {
		if !strings.HasPrefix(query[i:], "{{") {
			width := q.step(query, i)
			out.WriteString(query[i : i+width])
			i += width
			continue
		}
		inside, _, closed := strings.Cut(query[i+2:], "}}")
		name := strings.TrimSpace(inside)
		if !closed {
			return "", &PlaceholderError{Placeholder: explain.Shorten(name, 40), Problem: "it is not closed by }}"}
		}
		value, err := values.value(name)
		if err != nil {
			return "", err
		}
		text, err := q.write(name, value)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
		i += len("{{") + len(inside) + len("}}")
	}
	return out.String(), nil
}

// usesVersion reports that a query has the placeholder {{ version }}.
func usesVersion(query string) bool {
	_, err := ExpandQuery(query, QueryValues{Namespace: "n", Release: "r", Client: "c", Stage: "s"})
	return err != nil
}

// queryReach is how far back a query looks, whatever its placeholders stand for.
func queryReach(query string) time.Duration {
	expanded, err := ExpandQuery(query, QueryValues{Namespace: "n", Release: "r", Client: "c", Stage: "s", Version: "v"})
	if err != nil {
		return 0
	}
	return analysis.QueryReach(expanded)
}

// queryField is a query of an analysis, where it stands in the configuration.
type queryField struct {
	name string
	text *string
}

// metricQueries are the queries of a metric, which may be empty.
func metricQueries(m *analysis.Metric) []queryField {
	out := []queryField{{"query", &m.Query}, {"requests_query", &m.RequestsQuery}}
	if b := m.Baseline; b != nil {
		out = append(out, queryField{"baseline.query", &b.Query}, queryField{"baseline.requests_query", &b.RequestsQuery})
	}
	return out
}

func ratioQueries(r *analysis.SampleRatio) []queryField {
	return []queryField{{"canary_query", &r.CanaryQuery}, {"stable_query", &r.StableQuery}}
}

func (v QueryValues) value(name string) (string, error) {
	values := map[string]string{"namespace": v.Namespace, "release": v.Release, "client": v.Client, "stage": v.Stage, "version": v.Version}
	value, known := values[name]
	switch {
	case !known:
		return "", &PlaceholderError{Placeholder: explain.Shorten(name, 40), Problem: "there is no such placeholder"}
	case value == "":
		return "", &PlaceholderError{Placeholder: name, Problem: "its value is not known, since the release does not set it"}
	}
	return value, nil
}

// quoting follows the quotes of a query.
type quoting struct {
	// quote is the one that is open, 0 outside.
	quote byte
	// regular says that the open string is a regular expression.
	regular bool
}

// step reads what stands at i, and returns how many bytes that are.
func (q *quoting) step(query string, i int) int {
	c := query[i]
	switch {
	case q.quote == 0 && c == '#':
		// A comment ends with its line.
		if end := strings.IndexByte(query[i:], '\n'); end >= 0 {
			return end
		}
		return len(query) - i
	case q.quote == 0 && (c == '"' || c == '\'' || c == '`'):
		before := strings.TrimRight(query[:i], " \t\r\n")
		q.quote, q.regular = c, strings.HasSuffix(before, "=~") || strings.HasSuffix(before, "!~")
	case q.quote != 0 && q.quote != '`' && c == '\\' && i+1 < len(query):
		return 2
	case c == q.quote:
		q.quote = 0
	}
	return 1
}

func (q *quoting) write(name, value string) (string, error) {
	if q.quote == 0 {
		return "", &PlaceholderError{Placeholder: name, Problem: "it is outside of quotes"}
	}
	if q.regular {
		value = regexp.QuoteMeta(value)
	}
	if q.quote == '`' {
		if strings.ContainsRune(value, '`') {
			return "", &PlaceholderError{Placeholder: name, Problem: "its value cannot be in backquotes"}
		}
		return value, nil
	}
	quoted := strconv.Quote(value)
	quoted = quoted[1 : len(quoted)-1]
	if q.quote == '\'' {
		quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\"`, `"`), `'`, `\'`)
	}
	return quoted, nil
}

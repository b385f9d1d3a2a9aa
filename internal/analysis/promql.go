// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// promQL accepts all that some Prometheus may accept: whether experimental functions and durations are enabled is up to the server.
var promQL = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
})

// ParseQuery returns, without a request, a *QueryError unless a query is PromQL that gives one number for each series.
func ParseQuery(query string) error {
	expression, err := promQL.ParseExpr(query)
	var wrong parser.ParseErrors
	switch {
	case errors.As(err, &wrong) && len(wrong) > 0:
		// The first is the cause of the others.
		return &QueryError{Query: query, Problem: "the query is not PromQL: " + oneLine(wrong[0].Error())}
	case err != nil:
		return &QueryError{Query: query, Problem: "the query is not PromQL: " + oneLine(err.Error())}
	}
	switch expression.Type() {
	case parser.ValueTypeVector, parser.ValueTypeScalar:
		return nil
	case parser.ValueTypeMatrix:
		return &QueryError{
			Query:   query,
			Problem: "the query gives a range of values instead of one: use a function such as rate or avg_over_time",
		}
	}
	return &QueryError{Query: query, Problem: "the query gives a " + string(expression.Type()) + ", not a number"}
}

// QueryReach is how far back a query looks: rate(x[1m]) looks back one minute, with offset 5m six. Earlier data cannot change its
// answer, except for the last value of a series that is no longer scraped. A query that cannot be parsed has no reach.
func QueryReach(query string) time.Duration {
	expression, err := promQL.ParseExpr(query)
	if err != nil {
		return 0
	}
	return reach(expression)
}

func reach(node parser.Node) time.Duration {
	switch n := node.(type) {
	case *parser.MatrixSelector:
		return n.Range + reach(n.VectorSelector)
	case *parser.VectorSelector:
		return max(n.OriginalOffset, 0)
	case *parser.SubqueryExpr:
		return n.Range + max(n.OriginalOffset, 0) + reach(n.Expr)
	}
	var longest time.Duration
	for child := range parser.ChildrenIter(node) {
		longest = max(longest, reach(child))
	}
	return longest
}

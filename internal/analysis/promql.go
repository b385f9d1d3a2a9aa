// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"

	"github.com/prometheus/prometheus/promql/parser"
)

// promQL accepts what some Prometheus may accept: functions and durations that have to be switched on there are the server's affair.
var promQL = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
})

// ParseQuery says without a request whether a query is PromQL that gives one number for each series: *QueryError where it is not.
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
		return &QueryError{Query: query, Problem: "the query gives a range of values instead of one: use a function such as rate or avg_over_time"}
	}
	return &QueryError{Query: query, Problem: "the query gives a " + string(expression.Type()) + ", not a number"}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import "fmt"

// The queries of a metric, as named in the configuration.
const (
	fieldQuery            = "query"
	fieldRequests         = "requests_query"
	fieldBaseline         = "baseline.query"
	fieldBaselineRequests = "baseline.requests_query"
)

// metricQuery is one of the queries of a metric.
type metricQuery struct {
	field, text string
	reduce      Reduce
}

// wrap adds the name of the query to an error, unless it is the metric's own.
func (q metricQuery) wrap(err error) error {
	if q.field == fieldQuery {
		return err
	}
	return fmt.Errorf("%s: %w", q.field, err)
}

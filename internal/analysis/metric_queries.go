// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import "fmt"

// The queries of a metric, in the words of the configuration.
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

// wrap says which query an error is about, where it is not the metric's own.
func (q metricQuery) wrap(err error) error {
	if q.field == fieldQuery {
		return err
	}
	return fmt.Errorf("%s: %w", q.field, err)
}

// queries are those that a sample of m needs, the metric's own first.
func (m Metric) queries() []metricQuery {
	out := []metricQuery{{fieldQuery, m.Query, m.Reduce}}
	counted := m.MinRequests > 0 && m.ratio == nil // The queries of a sample ratio count requests themselves.
	if counted {
		out = append(out, metricQuery{fieldRequests, m.RequestsQuery, ReduceNone})
	}
	if m.Baseline == nil {
		return out
	}
	out = append(out, metricQuery{fieldBaseline, m.Baseline.Query, m.Reduce})
	if counted {
		out = append(out, metricQuery{fieldBaselineRequests, m.Baseline.RequestsQuery, ReduceNone})
	}
	return out
}

// sample asks the queries of m and judges what they say. Those that come after one that says nothing are not asked.
func (m Metric) sample(ask func(metricQuery) (Sample, error)) Sample {
	var s Sample
	for _, q := range m.queries() {
		answer, err := ask(q)
		if err != nil {
			return Sample{Kind: Error, Evidence: q.wrap(err).Error()}
		}
		if s = s.with(q.field, answer); s.Kind != "" {
			break
		}
	}
	return m.Judge(s)
}

// with adds what a query returned. No series of requests means no requests.
func (s Sample) with(field string, answer Sample) Sample {
	requests := field == fieldRequests || field == fieldBaselineRequests
	switch {
	case requests && answer.Series > 1:
		return Sample{Kind: Error, Evidence: field + " returns several series: use sum(…)", Series: answer.Series}
	case field == fieldRequests && answer.Kind == "":
		s.Requests = answer.Value
	case field == fieldBaselineRequests && answer.Kind == "":
		s.BaselineRequests = answer.Value
	case field == fieldBaseline:
		s.Baseline, s.BaselineSeries, s.Kind = answer.Value, answer.Series, answer.Kind
		if answer.Evidence != "" {
			s.Evidence = "baseline: " + answer.Evidence
		}
	case field == fieldQuery:
		return answer
	}
	return s
}

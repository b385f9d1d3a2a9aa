// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

const histogramProblem = "the query returns a native histogram: use histogram_quantile() or histogram_fraction()"

// UnavailableError means that Prometheus did not answer, or not completely. It says nothing about the query.
type UnavailableError struct {
	Problem string
}

// Explain implements the explanation that diagnostics print.
func (e *UnavailableError) Explain() (happened, observed, advice string) {
	return "Prometheus could not be asked.", e.Problem + ".", "Check the address, the credentials and that Prometheus runs."
}

func (e *UnavailableError) Error() string { return e.Problem }

// QueryError means that a query can never give a sample: the configuration is to blame.
type QueryError struct {
	Query, Problem string
}

// Explain implements the explanation that diagnostics print.
func (e *QueryError) Explain() (happened, observed, advice string) {
	return "A query of the analysis cannot be used.", fmt.Sprintf("%s\nQuery: %s", e.Problem, e.Query), "Correct the query."
}

func (e *QueryError) Error() string { return e.Problem }

// explain says why a query failed, without credentials.
func (p *Prometheus) explain(outer context.Context, err error) error {
	var answer *promv1.Error
	if !errors.As(err, &answer) {
		text, _ := describe(outer, err, p.timeout)
		return &UnavailableError{Problem: p.redactor.text("Prometheus: " + text)}
	}
	if message, found := apiServerMessage([]byte(answer.Detail)); found {
		return &UnavailableError{Problem: p.redactor.text("the API server answers instead of Prometheus: " + message)}
	}
	text := string(answer.Type) + ": " + answer.Msg
	if detail := answerDetail(answer.Detail); detail != "" {
		text += ": " + detail
	}
	text = p.redactor.text("Prometheus answers " + text)
	if answer.Type == promv1.ErrBadData {
		return &QueryError{Problem: text}
	}
	return &UnavailableError{Problem: text}
}

// answerDetail is what a body says beside the status: the error of the API's own format, or the page of a load balancer.
func answerDetail(body string) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &answer) == nil && answer.Error != "" {
		return answer.Error
	}
	if strings.HasPrefix(strings.TrimSpace(body), "<") { // Nobody wants to read HTML.
		return ""
	}
	return body
}

// pointsOf are the values of the series of an instant query.
func pointsOf(result model.Value) ([]float64, error) {
	switch v := result.(type) {
	case *model.Scalar:
		return []float64{float64(v.Value)}, nil
	case model.Vector:
		points := make([]float64, 0, len(v))
		for _, s := range v {
			if s.Histogram != nil {
				return nil, &QueryError{Problem: histogramProblem}
			}
			points = append(points, float64(s.Value))
		}
		return points, nil
	case model.Matrix:
		return nil, &QueryError{Problem: "the query returns a range of values: use a function such as rate() or avg_over_time() around it"}
	}
	return nil, &QueryError{Problem: fmt.Sprintf("the query returns a %s, not a number", result.Type())}
}

// reduced makes a sample of the values of all series. Its kind is empty where there is a value to judge. A reducer leaves
// series without a number out.
func reduced(points []float64, reduce Reduce) Sample {
	if reduce == ReduceNone {
		s := Sample{Series: len(points)}
		if len(points) == 1 {
			s.Value = Number(points[0])
		}
		return s
	}
	s := Sample{}
	for _, point := range points {
		value := Number(point)
		switch {
		case math.IsNaN(point):
		case s.Series == 0:
			s.Series, s.Value = 1, value
		case reduce == ReduceMax:
			s.Value = max(s.Value, value)
		case reduce == ReduceMin:
			s.Value = min(s.Value, value)
		case reduce == ReduceSum:
			s.Value += value
		}
	}
	if s.Series == 0 && len(points) > 0 {
		return Sample{Kind: NoData, Series: len(points), Evidence: "no series has a number"}
	}
	return s
}

// Probe asks m's queries once, so that what is wrong with them is known before anything is changed. The error is a
// *QueryError where the configuration is to blame, and an *UnavailableError where Prometheus is; no data is none.
func (p *Prometheus) Probe(ctx context.Context, m Metric) error {
	for _, q := range m.queries() {
		limited, cancel := context.WithTimeout(ctx, p.timeout)
		err := p.probe(ctx, limited, q)
		cancel()
		if err != nil {
			return fmt.Errorf("metric %q, %s: %w", m.Name, q.field, err)
		}
	}
	return nil
}

func (p *Prometheus) probe(outer, ctx context.Context, q metricQuery) error {
	s, err := p.instant(outer, ctx, q.text, q.reduce)
	var broken *QueryError
	switch {
	case errors.As(err, &broken):
		return &QueryError{Query: q.text, Problem: broken.Problem}
	case err != nil:
		return err
	case s.Kind == "" && s.Series > 1:
		return &QueryError{Query: q.text, Problem: fmt.Sprintf("the query returns %d series: aggregate them in the query, for example by sum(…)", s.Series)}
	}
	return nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/prometheus/common/model"
)

const histogramProblem = "the query returns a native histogram: use histogram_quantile() or histogram_fraction()"

// UnavailableError means that Prometheus did not answer, or not completely. The query may be valid.
type UnavailableError struct {
	Problem string
}

// Explain implements explain.Explainer.
func (e *UnavailableError) Explain() (happened, observed, advice string) {
	return "Prometheus could not be queried.", e.Problem + ".", "Check the address, the credentials and that Prometheus runs."
}

func (e *UnavailableError) Error() string { return e.Problem }

// QueryError means that a query can never return a sample: the configuration is wrong.
type QueryError struct {
	Query, Problem string
}

// Explain implements explain.Explainer.
func (e *QueryError) Explain() (happened, observed, advice string) {
	return "A query of the analysis cannot be used.", fmt.Sprintf("%s\nQuery: %s", e.Problem, e.Query), "Correct the query."
}

func (e *QueryError) Error() string { return e.Problem }

// answerDetail is the detail in the body: the error in the API's own format, or the page of a load balancer.
func answerDetail(body string) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &answer) == nil && answer.Error != "" {
		return answer.Error
	}
	if strings.HasPrefix(strings.TrimSpace(body), "<") { // HTML is not readable.
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

// reduced makes a sample of the values of all series. Its kind is empty if there is a value to classify. A reducer ignores
// series without a number.
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

var queryValues = QueryValues{Namespace: "data-collection-client-a", Release: "app", Client: "client-a", Stage: "prod",
	Version: "v1.2.0+build.7"}

func TestExpandQuery_WritesAValueSoThatItMeansItself(t *testing.T) {
	t.Parallel()
	odd := queryValues
	odd.Version = `a"b'c\d` + "`e.f\n"
	for _, tc := range []struct {
		query, want string
		values      QueryValues
	}{
		{query: `sum(rate(x[1m]))`, want: `sum(rate(x[1m]))`},
		{query: `x{namespace="{{ namespace }}",client='{{client}}'}`, want: `x{namespace="data-collection-client-a",client='client-a'}`},
		{query: "x{stage=`{{ stage }}`}", want: "x{stage=`prod`}"},
		{query: `x{version="{{ version }}"}`, want: `x{version="v1.2.0+build.7"}`},
		{query: `x{version=~ "{{ version }}|{{ release }}"}`, want: `x{version=~ "v1\\.2\\.0\\+build\\.7|app"}`},
		{query: "x{version!~`{{ version }}`}", want: "x{version!~`v1\\.2\\.0\\+build\\.7`}"},
		{query: `x{a="\"{{ release }}\""} == 1 # "a quote {{ nonsense`, want: `x{a="\"app\""} == 1 # "a quote {{ nonsense`},
		{query: "x # it's a comment\n{v=\"{{ version }}\"}", want: "x # it's a comment\n{v=\"v1.2.0+build.7\"}"},
		{query: `x{v="{{ version }}",w='{{ version }}'}`, want: `x{v="a\"b'c\\d` + "`" + `e.f\n",w='a"b\'c\\d` + "`" + `e.f\n'}`, values: odd},
	} {
		values := tc.values
		if values.Release == "" {
			values = queryValues
		}
		got, err := ExpandQuery(tc.query, values)
		if err != nil || got != tc.want {
			t.Errorf("%s\n got %s, %v\nwant %s", tc.query, got, err, tc.want)
		}
		if err := analysis.ParseQuery(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestExpandQuery_RefusesWhatItCannotFillIn(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`x{a="{{ cluster }}"}`:       "no such placeholder",
		`x{a="{{ .Release.Name }}"}`: "no such placeholder",
		`x{a="{{ }}"}`:               "no such placeholder",
		`x{a="{{ version"}`:          "not closed",
		`rate({{ release }}_total)`:  "outside of quotes",
		`x{a="b"} {{ version }}`:     "outside of quotes",
	} {
		_, err := ExpandQuery(query, queryValues)
		wantText(t, asError[*PlaceholderError](t, err).Error(), want)
	}
	unset := queryValues
	unset.Version = ""
	_, err := ExpandQuery(`x{a="{{ version }}"}`, unset)
	wantText(t, asError[*PlaceholderError](t, err).Error(), "version", "not known")
	if !usesVersion(`x{a="{{ version }}"}`) || usesVersion(`x{a="{{ stage }}"}`) {
		t.Error("the placeholder is not seen")
	}
}

// Whatever a version is, it ends up as the value of the label, and changes nothing else of the query.
func FuzzExpandQuery(f *testing.F) {
	for _, seed := range []string{"v1.2.0", `"} or vector(0) #`, `\`, "`", "'", "\n", "{{ stage }}", "ü\x00"} {
		f.Add(seed)
	}
	parse := parser.NewParser(parser.Options{})
	f.Fuzz(func(t *testing.T, version string) {
		version = strings.ToValidUTF8(version, "?")
		if version == "" {
			return
		}
		values := queryValues
		values.Version = version
		for _, quote := range []string{`"`, `'`} {
			text, err := ExpandQuery(`x{v=`+quote+`{{ version }}`+quote+`,s="prod"}`, values)
			if err != nil {
				t.Fatal(err)
			}
			expression, err := parse.ParseExpr(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			selector, ok := expression.(*parser.VectorSelector)
			if !ok || len(selector.LabelMatchers) != 3 {
				t.Fatalf("%s is a %T", text, expression)
			}
			if got := selector.LabelMatchers[0]; got.Name != "v" || got.Value != version {
				t.Fatalf("%s: %s is %q, want %q", text, got.Name, got.Value, version)
			}
		}
	})
}

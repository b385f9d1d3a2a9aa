// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package reach

import "testing"

const hole = "HOLE"

func TestSkeleton_LeavesOutWhatCanDependOnASecret(t *testing.T) {
	t.Parallel()
	helpers := `{{ define "name" }}{{ .Values.name }}{{ end }}{{ define "dsn" }}x{{ .Values.db.password }}{{ end }}` +
		`{{ define "check" }}{{ if lt (len .Values.db.password) 9 }}{{ fail "short" }}{{ end }}{{ end }}` +
		`{{ define "show" }}{{ .v }}{{ end }}{{ define "context" }}{{ .root.Values.name }}{{ end }}`
	for name, tc := range map[string]struct{ template, want string }{
		"another value":           {`a: {{ .Values.name }}`, `a: {{.Values.name}}`},
		"another value of a map":  {`a: {{ .Values.db.host }}`, `a: {{.Values.db.host}}`},
		"the secret":              {`a: {{ .Values.db.password | upper | trunc 4 }} b`, `a: HOLE b`},
		"the root variable":       {`{{ $.Values.db.password }}`, hole},
		"index":                   {`{{ index .Values "db" "password" }}{{ index .Values "db" "host" }}`, `HOLE{{index .Values "db" "host"}}`},
		"index by a variable":     {`{{ index .Values.db .Values.key }}`, hole},
		"get":                     {`{{ get .Values.db "password" }}{{ get (get .Values "db") "host" }}`, `HOLE{{get (get .Values "db") "host"}}`},
		"dig":                     {`{{ dig "db" "password" "" .Values }}{{ dig "db" "host" "" .Values }}`, `HOLE{{dig "db" "host" "" .Values}}`},
		"the whole map":           {`{{ toYaml .Values.db }}`, hole},
		"all values":              {`{{ .Values | toJson }}`, hole},
		"pick":                    {`{{ (pick .Values.db "host").host }}{{ (pick .Values.db "password").password }}`, `{{(pick .Values.db "host").host}}HOLE`},
		"a variable":              {`{{ $x := .Values.db }}{{ $x.host }}{{ $x.password }}`, `{{$x := .Values.db}}{{$x.host}}HOLE`},
		"with":                    {`{{ with .Values.db }}{{ .host }}{{ .password }}{{ end }}`, `{{with .Values.db}}{{.host}}HOLE{{end}}`},
		"range":                   {`{{ range $k, $v := .Values.db }}{{ $k }}{{ $v }}{{ end }}`, `{{range $k, $v := .Values.db}}HOLEHOLE{{end}}`},
		"a condition":             {`{{ if hasPrefix "x" .Values.db.password }}a{{ else }}b{{ end }}c`, `c`},
		"a condition on the map":  {`{{ if .Values.db }}a{{ end }}`, `{{if .Values.db}}a{{end}}`},
		"assigned in a condition": {`{{ $x := 1 }}{{ if eq .Values.db.password "x" }}{{ $x = 2 }}{{ end }}{{ $x }}`, `{{$x := 1}}HOLE`},
		"include":                 {`{{ include "name" . }}{{ include "dsn" . }}`, `{{include "name" .}}HOLE`},
		"a validation":            {`{{ include "check" . }}a`, `{{include "check" .}}a`},
		"a dictionary": {`{{ include "show" (dict "v" .Values.name "s" .Values.db) }}{{ include "show" (dict "v" .Values.db.password) }}`,
			`{{include "show" (dict "v" .Values.name "s" .Values.db)}}HOLE`},
		"a context":      {`{{ include "context" (dict "root" $) }}`, `{{include "context" (dict "root" $)}}`},
		"tpl":            {`{{ tpl .Values.name . }}`, hole},
		"tpl of nothing": {`{{ tpl "a" (dict) }}`, `{{tpl "a" (dict)}}`},
		"a set variable": {`{{ $d := dict "a" 1 }}{{ $_ := set $d "b" .Values.db.password }}{{ $d.a }}{{ $d.b }}`,
			`{{$d := dict "a" 1}}{{$_ := set $d "b" .Values.db.password}}{{$d.a}}HOLE`},
		"a loop that ends": {`{{ range .Values.list }}{{ if eq . $.Values.db.password }}{{ break }}{{ end }}{{ . }}{{ end }}a`, `a`},
		"an indented hole": {`a:{{ toYaml .Values.db | nindent 2 }}`, "a:\n  HOLE"},
		"a file":           {`{{ .Files.Get "x" }}{{ .Release.Name }}{{ .Chart.Name }}`, `{{.Files.Get "x"}}{{.Release.Name}}{{.Chart.Name}}`},
		"a computed name":  {`{{ include (print "d" "sn") . }}{{ include (printf "%s" .Values.name) . }}`, `HOLEHOLE`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Analyze([]Chart{{Files: []File{{Name: "t", Text: tc.template}, {Name: "h", Text: helpers, Partial: true}}}},
				[][]string{{"db", "password"}})
			got, ok := a.Skeleton("t", hole)
			if !ok || got != tc.want {
				t.Errorf("got %q %v, want %q", got, ok, tc.want)
			}
		})
	}
}

func TestReaches_WhatIsWrittenIntoSharedValuesReachesEverything(t *testing.T) {
	t.Parallel()
	for name, template := range map[string]string{
		"a public map": `{{ $_ := set .Values "other" .Values.db.password }}`,
		"through dot":  `{{ define "w" }}{{ $_ := set . "x" .p }}{{ end }}{{ include "w" (dict "p" .Values.db.password) }}`,
		"an alias":     `{{ $d := .Values.other }}{{ $_ := set $d "x" .Values.db.password }}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Analyze([]Chart{{Files: []File{{Name: "t", Text: template}, {Name: "u", Text: `a: {{ .Values.other }}`}}}},
				[][]string{{"db", "password"}})
			if !a.Reaches("u") {
				t.Error("the other template is said to be free of it")
			}
		})
	}
}

func TestReaches_FollowsSubcharts(t *testing.T) {
	t.Parallel()
	file := func(name, text string) []File { return []File{{Name: name, Text: text}} }
	a := Analyze([]Chart{
		{Parent: true, Files: []File{{Name: "top", Text: `{{ .Values.sub.pw }}`}, {Name: "other", Text: `{{ .Values.pw }}`},
			{Name: "through", Text: `{{ .Subcharts.sub.Values.pw }}`}}},
		{Base: []string{"sub"}, Files: append(file("sub", `{{ .Values.pw }}`), file("global", `{{ .Values.global.token }}`)...)},
		{Base: []string{"free"}, Files: file("free", `{{ .Values.pw }}`)},
	}, [][]string{{"sub", "pw"}, {"global", "token"}})
	for name, want := range map[string]bool{"top": true, "other": false, "through": true, "sub": true, "global": true, "free": false} {
		if a.Reaches(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	imports := Analyze([]Chart{{Imports: true, Files: file("top", `{{ .Values.any }}`)}}, [][]string{{"sub", "pw"}})
	if !imports.Reaches("top") {
		t.Error("an imported value is said to be public")
	}
}

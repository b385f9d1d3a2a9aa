// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

const webSchema = `{
  "$schema": "https://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
  "required": ["image"],
  "properties": {
    "replicas": {"type": "integer", "minimum": 1, "maximum": 100},
    "image": {"type": "object", "additionalProperties": false, "required": ["tag"], "properties": {
      "repository": {"type": "string"}, "tag": {"type": "string", "pattern": "^v[0-9]+"},
       "pullPolicy": {"enum": ["Always", "IfNotPresent"]}}},
    "ports": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["name"],
       "properties": {"port": {"$ref": "#/definitions/port"}}}},
    "target": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "labels": {"type": "object"}, "global": {"type": "object"}, "db": {"type": "object"}
  },
  "definitions": {"port": {"type": "integer", "maximum": 65535}}
}`

func getChart(t *testing.T, more map[string]string) *Chart {
	t.Helper()
	return mustGet(t, newTestLoader(t), Source{Path: writeFolder(t, webChart(more))}, "")
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := values.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func texts(problems []Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Text)
	}
	return out
}

func TestValidateValues_PutsTheSchemaIntoWords(t *testing.T) {
	c := getChart(t,
		map[string]string{"values.schema.json": webSchema, "values.yaml": "replicas: 2\nimage: {repository: r, tag: v1}\nlabels: {}\n"})
	tests := map[string]struct {
		values string
		want   []string
	}{
		"good":         {`{replicas: 3, image: {tag: v2}, labels: {a: b}, target: x, ports: [{name: http, port: 80}]}`, nil},
		"another type": {`{replicas: "fifty"}`, []string{`replicas is "fifty" (a string); allowed is an integer`}},
		"a fraction":   {`{replicas: 1.5}`, []string{`replicas is 1.5; allowed is an integer`}},
		"too small":    {`{replicas: 0}`, []string{`replicas is 0; it must be at least 1`}},
		"too large":    {`{replicas: 101}`, []string{`replicas is 101; it must be at most 100`}},
		"none of a list": {
			`{image: {pullPolicy: Sometimes}}`,
			[]string{`image.pullPolicy is "Sometimes" (a string); allowed are "Always", "IfNotPresent"`},
		},
		"not the pattern": {`{image: {tag: "1"}}`, []string{`image.tag is "1" (a string); it must match the pattern ^v[0-9]+`}},
		"removed by null": {`{image: {tag: null}}`, []string{"image.tag is missing; chart web requires it"}},
		"a typo":          {`{image: {repositry: x}}`, []string{"image.repositry is not a value of chart web; did you mean image.repository?"}},
		"inside a list": {
			`{ports: [{name: a}, {port: 99999}]}`,
			[]string{"ports[1].name is missing; chart web requires it", "ports[1].port is 99999; it must be at most 65535"},
		},
		"an empty list":    {`{ports: []}`, []string{"ports has 0 items; it must have at least 1"}},
		"alternatives":     {`{target: [1]}`, []string{"target is a list; allowed is an integer or a string"}},
		"a map for a list": {`{ports: {a: 1}}`, []string{"ports is a map; allowed is a list"}},
		"several": {`{replicas: x, image: {pullPolicy: z}}`, []string{`image.pullPolicy is "z" (a string); allowed are "Always", "IfNotPresent"`,
			`replicas is "x" (a string); allowed is an integer`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := parse(t, test.values)
			problems := c.ValidateValues(v)
			if got := texts(problems); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if !reflect.DeepEqual(v, parse(t, test.values)) {
				t.Error("the values were changed")
			}
		})
	}
}

func TestValidateValues_PathStopsAtTheList(t *testing.T) {
	c := getChart(t, map[string]string{"values.schema.json": webSchema})
	problems := c.ValidateValues(parse(t, `{ports: [{name: a, port: "x"}]}`))
	if len(problems) != 1 || problems[0].Path != "ports" || !strings.HasPrefix(problems[0].Text, "ports[0].port is ") {
		t.Errorf("got %+v", problems)
	}
}

func TestValidateValues_FindsUnknownKeysWithoutASchema(t *testing.T) {
	c := getChart(t, map[string]string{
		"values.yaml": "replicas: 2\nimage: {repository: r, tag: v1}\nautoscaling: {enabled: true, maxReplicas: 5}\nlabels: {}\naffinity:\n" +
			"resources: {limits: {cpu: 1}}\nnodeSelector: {disk: ssd}\n",
		"templates/a.yaml": `
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ .Values.autoscaling.behavior.window }}{{ end }}
{{- toYaml .Values.resources | nindent 2 }}
{{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
{{- end }}
{{- /* .Values.commented is not used */}}
{{ index .Values "odd-key" "inner" }}{{ $.Values.fullnameOverride }}{{ .Values.image.tag | default "x" }}`,
	})
	tests := map[string]struct {
		values string
		want   []string
	}{
		"known": {`{replicas: 1, image: {tag: x}, autoscaling: {maxReplicas: 1}}`, nil},
		"a typo": {
			`{autoscaling: {maxReplica: 50}}`,
			[]string{"autoscaling.maxReplica is not a value of chart web; did you mean autoscaling.maxReplicas?"},
		},
		"nothing near":                  {`{monitoring: true}`, []string{"monitoring is not a value of chart web"}},
		"open maps":                     {`{labels: {a: b}, affinity: {podAffinity: {}}}`, nil},
		"global":                        {`{global: {anything: {at: all}}}`, nil},
		"read by a template only":       {`{autoscaling: {behavior: {window: 1}}, odd-key: {inner: 1}, fullnameOverride: x}`, nil},
		"passed on as a whole":          {`{resources: {limits: {ephemeral-storage: 1Gi}, requests: {cpu: 1}}, nodeSelector: {zone: a}}`, nil},
		"in a comment of a template":    {`{commented: 1}`, []string{"commented is not a value of chart web"}},
		"tags where the chart has none": {`{tags: {a: true}}`, []string{"tags is not a value of chart web"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problems := c.ValidateValues(parse(t, test.values))
			if got := texts(problems); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			for _, p := range problems {
				if !p.Unknown {
					t.Errorf("%+v is not marked as unknown", p)
				}
			}
		})
	}
}

// family is a chart with subcharts: one with an alias and a condition, one with tags, one that is only in the folder.
func family() map[string]string {
	return map[string]string{
		"Chart.yaml": chartYAML + `dependencies:
- {name: db, version: 1.x, alias: store, condition: "store.enabled,global.store.enabled",
    import-values: [shared, {child: limits, parent: quota}]}
- {name: cache, version: 1.x, tags: [speed]}
`,
		"values.yaml":                  "replicas: 2\nstore: {}\ncache: {size: 9}\n",
		"charts/db/Chart.yaml":         "apiVersion: v2\nname: db\nversion: 1.0.0\n",
		"charts/db/values.yaml":        "port: 5432\nlimits: {cpu: 1}\nexports: {shared: {dsn: x}}\n",
		"charts/db/values.schema.json": `{"properties": {"port": {"type": "integer"}}}`,
		"charts/cache/Chart.yaml":      "apiVersion: v2\nname: cache\nversion: 1.0.0\n",
		"charts/cache/values.yaml":     "size: 1\npolicy: lru\n",
		"charts/extra/Chart.yaml":      "apiVersion: v2\nname: extra\nversion: 1.0.0\n",
		"charts/extra/templates/x.md":  "{{ .Values.title }}",
	}
}

func TestChart_DefaultValuesIncludeThoseOfSubcharts(t *testing.T) {
	c := getChart(t, family())
	want := map[string]any{
		"replicas": 2.0,
		"store": map[string]any{
			"port":    5432.0,
			"limits":  map[string]any{"cpu": 1.0},
			"exports": map[string]any{"shared": map[string]any{"dsn": "x"}},
		},
		"cache": map[string]any{"size": 9.0, "policy": "lru"},
		"extra": map[string]any{},
	}
	got := c.DefaultValues()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	got["replicas"] = "changed"
	if c.DefaultValues()["replicas"] != 2.0 {
		t.Error("the defaults can be changed from outside")
	}
}

func TestValidateValues_KnowsSubcharts(t *testing.T) {
	c := getChart(t, family())
	tests := map[string]struct {
		values string
		want   []string
	}{
		"values, condition, tag, imports": {
			`{store: {port: 1, enabled: false, global: {x: 1}}, tags: {speed: true}, cache: {policy: x}, dsn: y, quota: {cpu: 2}, extra: ` +
				`{title: t}}`,
			nil,
		},
		"a typo below an alias":         {`{store: {prot: 1}}`, []string{"store.prot is not a value of chart web; did you mean store.port?"}},
		"the name instead of the alias": {`{db: {port: 1}}`, []string{"db is not a value of chart web"}},
		"a tag that is none":            {`{tags: {sped: true}}`, []string{"tags.sped is not a value of chart web; did you mean tags.speed?"}},
		"schema of a subchart":          {`{store: {port: "x"}}`, []string{`store.port is "x" (a string); allowed is an integer`}},
		"schema of a disabled subchart": {`{store: {port: "x", enabled: false}}`, nil},
		"no map":                        {`{store: "x"}`, []string{"store is a string; this is the place of the values of subchart db, a map"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := texts(c.ValidateValues(parse(t, test.values))); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestValidateValues_ReportsABrokenSchema(t *testing.T) {
	for name, schema := range map[string]string{
		"no JSON": `{`, "no schema": `{"type": "strange"}`, "a dead reference": `{"$ref": "#/definitions/none"}`,
	} {
		problems := getChart(t, map[string]string{"values.schema.json": schema}).ValidateValues(nil)
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Text, "values.schema.json of chart web is broken: ") {
			t.Errorf("%s: got %+v", name, problems)
		}
	}
}

func TestValidateValues_FetchesNoSchema(t *testing.T) {
	r := newRepository(t, nil)
	schema := `{"properties": {"replicas": {"type": "integer"}, "image": {"$ref": "` + r.url + `/schema.json"}}}`
	c := getChart(t, map[string]string{"values.schema.json": schema})
	if problems := c.ValidateValues(parse(t, "replicas: x")); len(problems) != 1 {
		t.Errorf("got %+v", problems)
	}
	if n := r.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestValidateValues_AcceptsTheSampleChart holds the project's own chart to its own rules.
func TestValidateValues_AcceptsTheSampleChart(t *testing.T) {
	c := mustGet(t, newTestLoader(t), Source{Path: "../../examples/data-collection/chart/data-collection-service"}, "")
	if problems := c.ValidateValues(map[string]any{
		"image": map[string]any{"tag": "v1.2.0"}, "autoscaling": map[string]any{"maxReplicas": 50},
	}); len(problems) > 0 {
		t.Errorf("got %q", texts(problems))
	}
	problems := c.ValidateValues(map[string]any{"image": map[string]any{"tag": "v1.2.0"}, "autoscaling": map[string]any{"maxReplica": 50}})
	if want := []string{
		"autoscaling.maxReplica is not a value of chart data-collection-service; did you mean autoscaling.maxReplicas?",
	}; !slices.Equal(texts(problems), want) {
		t.Errorf("got %q", texts(problems))
	}
}

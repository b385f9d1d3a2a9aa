// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// shownOf is all that people get to see of a rendering.
func shownOf(r *Result) string {
	return r.Notes + fmt.Sprint(r.Objects, r.Volatile, r.VolatileSet, Review(r))
}

const validated = `{{ if not (hasPrefix "sk_live_" .Values.s) }}{{ fail "no key" }}{{ end }}`

// leafConfig is a ConfigMap with one leaf and one that has nothing to do with it.
func leafConfig(leaf string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  public: shown\n  p: " + leaf + "\n"
}

func TestRender_MasksWhatIsMadeOfASecret(t *testing.T) {
	const token = "sk_live_51QxyzCanary77Zq"
	cases := map[string]struct {
		template string
		secret   any
		hidden   []string
	}{
		"a one-line PEM": {leafConfig(`{{ .Values.s | quote }}`), oneLineKey, []string{"MIIE", "BEGIN"}},
		"a validated one-line PEM": {
			leafConfig(`{{ if not (hasPrefix "-----BEGIN" .Values.s) }}{{ fail "no" }}{{ end }}{{ .Values.s | quote }}`),
			oneLineKey,
			[]string{"MIIE"},
		},
		"validated: upper": {validated + "\n" + leafConfig(`{{ upper .Values.s }}`), token, []string{"SK_LIVE_51", "CANARY"}},
		"validated: trunc": {validated + "\n" + leafConfig(`{{ trunc 12 .Values.s }}`), token, []string{"sk_live_51Qx"}},
		"validated: halves": {
			validated + "\n" + leafConfig(`{{ substr 0 10 .Values.s }}{{ "\n" }}  q: {{ substr 10 24 .Values.s }}`),
			token,
			[]string{"live_51", "Canary"},
		},
		"validated: base64": {
			validated + "\n" + leafConfig(`{{ printf "key:%s" .Values.s | b64enc }}`),
			token,
			[]string{"a2V5OnNrX2xpdm"},
		},
		"validated: short digest": {validated + "\n" + leafConfig(`d{{ sha256sum .Values.s | trunc 4 }}`), token, []string{"p: d"}},
		"validated by a regex": {
			`{{ if not (regexMatch "^sk_(live|test)_[0-9A-Za-z]{16}$" .Values.s) }}{{ fail "no" }}{{ end }}` + "\n" + leafConfig(
				`{{ reverse (splitList "_" .Values.s) | first | lower }}`,
			),
			token,
			[]string{"canary"},
		},
		"digits of a number": {leafConfig(`{{ .Values.s | toString | trunc 4 }}x`), int64(73451987), []string{"7345"}},
		"a quotient":         {leafConfig(`q{{ div .Values.s 1000 }}`), int64(73451987), []string{"73451"}},
		"a validated number": {
			`{{ if ne (mod (int .Values.s) 97) 95 }}{{ fail "no" }}{{ end }}` + "\n" + leafConfig(`q{{ div .Values.s 1000 }}`),
			int64(73451987),
			[]string{"73451"},
		},
		"keys of a map": {
			leafConfig(`{{ range $k, $v := .Values.s }}{{ $k }},{{ end }}`),
			map[string]any{"acct-kiwi-77": "x", "other": "y"},
			[]string{"kiwi"},
		},
		"keys of JSON": {
			leafConfig(`{{ keys (fromJson .Values.s) | sortAlpha | join "," }}`),
			`{"acct-kiwi-77":"x"}`,
			[]string{"kiwi"},
		},
		"keys of YAML as keys": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n{{ fromYaml .Values.s | toYaml | indent 2 }}\n",
			"acct-kiwi-77: x\n",
			[]string{"kiwi"},
		},
		"letters of another script": {leafConfig(`{{ .Values.s | trunc 12 | quote }}`), "пароль-канарейка", []string{"парол"}},
		"punctuation":               {leafConfig(`{{ regexReplaceAll "[A-Za-z0-9]" .Values.s "" | quote }}`), "a!b@c#d$e%", []string{"!@#"}},
		"case":                      {leafConfig(`{{ .Values.s | swapcase | quote }}`), "aBcDeFgH", []string{"AbCdEfGh"}},
		"a difference of two": {
			leafConfig(`q{{ sub .Values.s.a .Values.s.b }}`),
			map[string]any{"a": int64(987654), "b": int64(1234)},
			[]string{"986420"},
		},
		"a part of a URL": {leafConfig(`{{ (urlParse .Values.s).host }}`), "postgres://u:pw@kiwi-canary:5432/x", []string{"kiwi"}},
		"a compared pair": {
			`{{ if ne .Values.s.a .Values.s.b }}{{ fail "no" }}{{ end }}` + "\n" + leafConfig(`{{ upper .Values.s.a }}`),
			map[string]any{"a": "kiwi-canary", "b": "kiwi-canary"},
			[]string{"KIWI"},
		},
		"a name": {
			strings.Replace(leafConfig("x"), "name: one", `name: "x-{{ .Values.s }}"`, 1),
			"kiwi-canary",
			[]string{"kiwi"},
		},
		"an object of the real secret": {
			`{{ if hasPrefix "sk_live_" .Values.s }}` + "\n" + strings.Replace(
				leafConfig("{{ upper .Values.s }}"),
				"name: one",
				`name: "x-{{ .Values.s | lower | replace "_" "-" }}"`,
				1,
			) + "{{ end }}",
			token,
			[]string{"canary", "CANARY", "sk-live", "name:x"},
		},
		"a namespace": {
			strings.Replace(leafConfig("x"), "name: one", `name: one, namespace: "ns-{{ .Values.s }}"`, 1),
			"kiwi-canary",
			[]string{"kiwi"},
		},
		"a kind": {
			strings.Replace(leafConfig("x"), "kind: ConfigMap", `kind: "K{{ .Values.s }}"`, 1),
			"kiwicanary",
			[]string{"kiwi"},
		},
		"through a helper": {
			validated + "\n" + `{{ define "h" }}{{ .ctx.Values.s | upper }}{{ end }}` + leafConfig(`{{ include "h" (dict "ctx" $) }}`),
			token,
			[]string{"CANARY"},
		},
		"through tpl": {validated + "\n" + leafConfig(`{{ tpl "{{ .Values.s | upper }}" . }}`), token, []string{"CANARY"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specWith(t, map[string]string{"templates/one.yaml": c.template})
			spec.Sensitive = map[string]any{"s": c.secret}
			r := mustRender(t, spec, installOf("live"))
			shown := shownOf(r)
			for _, part := range c.hidden {
				if strings.Contains(shown, part) {
					t.Errorf("%q is shown in\n%s", part, shown)
				}
			}
			if !strings.Contains(fmt.Sprint(r.Objects), object.MaskSecret) {
				t.Errorf("nothing is masked: %s", shown)
			}
		})
	}
}

func TestRender_ShowsTheLiteralTextOfATemplateThatValidatesASecret(t *testing.T) {
	spec := specWith(t, map[string]string{
		"templates/one.yaml": validated + "\n" + leafConfig(`{{ upper .Values.s }}`),
		"templates/two.yaml": strings.Replace(leafConfig("{{ .Values.other }}"), "one", "two", 1),
	})
	spec.Values = map[string]any{"other": "public"}
	spec.Sensitive = map[string]any{"s": "sk_live_canary51"}
	r := mustRender(t, spec, installOf("live"))
	if got := r.Objects["v1/ConfigMap/one"]; !strings.Contains(got, `"public":"shown"`) || !strings.Contains(got, `"p":"(sensitive value)"`) {
		t.Errorf("the ConfigMap is %s", got)
	}
	if got := r.Objects["v1/ConfigMap/two"]; !strings.Contains(got, `"p":"public"`) {
		t.Errorf("the other ConfigMap is %s", got)
	}
	var found []Finding
	for _, f := range Review(r) {
		if f.Rule == ruleSecretValidated {
			found = append(found, f)
		}
	}
	if len(found) != 1 || found[0].Object != "sample/templates/one.yaml" || !strings.Contains(found[0].Text, "depend on s is masked") ||
		!strings.Contains(found[0].Text, "one.yaml:1 refuses it") {
		t.Errorf("the findings are %v", found)
	}
}

func TestRender_MasksOnlyTheLeavesOfTheSecretThatIsValidated(t *testing.T) {
	spec := specWith(t, map[string]string{
		"templates/one.yaml": validated + "\n" + leafConfig(`{{ upper .Values.t }}`),
		"templates/two.yaml": strings.Replace(leafConfig(`"{{ len .Values.list }}-{{ .Values.t | len }}"`), "one", "two", 1),
	})
	spec.Sensitive = map[string]any{"s": "sk_live_canary51", "t": "kiwi-canary", "list": []any{"a-canary", "b-canary"}}
	r := mustRender(t, spec, installOf("live"))
	hunt(t, r, "KIWI", "canary")
}

func TestRender_NothingIsSaidOfAChartThatValidatesNothing(t *testing.T) {
	spec := specOf(t, "orders")
	spec.Sensitive = map[string]any{"apiToken": "kV93-canary-Zq", "databaseURL": "postgres://orders:s3cr3t@db.internal:5432/orders"}
	if r := mustRender(t, spec, installOf("live")); len(r.Unproven) != 0 {
		t.Errorf("found %v", r.Unproven)
	}
}

func TestRender_FindsInTextsWhatIsMadeOfASecret(t *testing.T) {
	spec := specWith(t, map[string]string{"templates/one.yaml": leafConfig(`"id={{ .Values.s | upper }} shown"`) +
		"---\n" + strings.Replace(leafConfig("x"), "name: one", `name: "x-{{ .Values.s | replace "-" "." }}"`, 1)})
	spec.Sensitive = map[string]any{"s": "kiwi-canary"}
	r := mustRender(t, spec, installOf("live"))
	text := r.Secrets.Text(`ConfigMap "x-kiwi.canary" is invalid: data.p: Invalid value: "KIWI-CANARY" in shop, public shown`)
	if strings.Contains(strings.ToLower(text), "kiwi") || !strings.Contains(text, "in shop, public shown") {
		t.Errorf("the text is %s", text)
	}
}

func TestRender_ErrorShowsOnlyWhatOtherSecretsCauseToo(t *testing.T) {
	cases := map[string]struct {
		template string
		secret   any
		hidden   []string
		shown    string
		line     int
	}{
		"fail": {template: `{{ fail (upper .Values.s) }}`, secret: "kiwi-canary", hidden: []string{"KIWI"}, line: 1},
		"fail with a text": {
			template: "\n" + `{{ fail (printf "the token %s is bad" (trunc 6 .Values.s)) }}`,
			secret:   "kiwi-canary",
			hidden:   []string{"kiwi"},
			shown:    "the token (sensitive value) is bad",
			line:     2,
		},
		"a text of the chart": {
			template: `{{ if hasPrefix "kiwi" .Values.s }}{{ fail "no kiwis, please" }}{{ end }}`,
			secret:   "kiwi-canary",
			shown:    "no kiwis, please",
			line:     1,
		},
		"required": {
			template: `{{ required "set other.name" .Values.other }}`,
			secret:   "kiwi-canary",
			shown:    "set other.name",
			line:     1,
		},
		"urlParse": {
			template: `{{ (urlParse .Values.s).host }}`,
			secret:   "http://kiwi canary%zz/x",
			hidden:   []string{"kiwi"},
			line:     1,
		},
		"only the real secret": {
			template: `{{ if hasPrefix "kiwi" .Values.s }}{{ fail (upper .Values.s) }}{{ end }}`,
			secret:   "kiwi-canary",
			hidden:   []string{"KIWI", "CANARY"},
			shown:    "hidden",
			line:     1,
		},
		"a type": {template: `{{ .Values.s.x }}`, secret: "kiwi-canary", shown: "can't evaluate field x", line: 1},
		"YAML":   {template: "a: b\n{{ .Values.s | upper }}: [\n", secret: "kiwi-canary", hidden: []string{"KIWI"}},
		"no object": {
			template: "kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Values.s | quote }}, x: }\ndata: 1\n---\n{{ upper .Values.s }}\n",
			secret:   "kiwi-canary",
			hidden:   []string{"KIWI"},
		},
		"the same name": {
			template: strings.Replace(
				leafConfig("x"),
				"one",
				"{{ upper .Values.s }}",
				1,
			) + "---\n" + strings.Replace(
				leafConfig("x"),
				"one",
				"{{ upper .Values.s }}",
				1,
			),
			secret: "kiwi-canary",
			hidden: []string{"KIWI"},
		},
		"a template of that name": {template: `{{ include (upper .Values.s) . }}`, secret: "kiwi-canary", hidden: []string{"KIWI"}, line: 1},
		"tpl": {
			template: `{{ tpl (print "{{ " (upper .Values.s) " }}") . }}`,
			secret:   "kiwi-canary",
			hidden:   []string{"KIWI"},
		},
		"a place in the secret": {
			template: `{{ fail (print "x " (upper .Values.s)) }}`,
			secret:   "template: kiwi/canary:3: bad",
			hidden:   []string{"KIWI", "kiwi"},
		},
		"a number": {
			template: `{{ fail (print "x" (div .Values.s 10)) }}`,
			secret:   int64(73451987),
			hidden:   []string{"7345"},
			line:     1,
		},
		"a key of a map": {
			template: `{{ fail (keys .Values.s | join ",") }}`,
			secret:   map[string]any{"acct-kiwi": "x"},
			hidden:   []string{"kiwi"},
			line:     1,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specWith(t, map[string]string{"templates/one.yaml": c.template})
			spec.Sensitive = map[string]any{"s": c.secret}
			_, err := Chart(t.Context(), spec, installOf("live"))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.hidden {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%q is in %v", part, err)
				}
			}
			if !strings.Contains(err.Error(), c.shown) || c.line > 0 && !strings.Contains(err.Error(), fmt.Sprintf("one.yaml:%d", c.line)) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestRender_SchemaErrorHoldsNoSecret(t *testing.T) {
	for name, schema := range map[string]string{
		"pattern": `{"properties":{"s":{"pattern":"^x$"}}}`,
		"const":   `{"properties":{"s":{"const":"x"},"n":{"maximum":3}}}`,
		"a key":   `{"properties":{"m":{"additionalProperties":false,"properties":{}}}}`,
		"not":     `{"properties":{"s":{"not":{"pattern":"^kiwi"}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specWith(t, map[string]string{"values.schema.json": schema, "templates/one.yaml": configMap("b")})
			spec.Sensitive = map[string]any{"s": "kiwi-canary", "n": int64(73451987), "m": map[string]any{"acct-kiwi": "x"}}
			_, err := Chart(t.Context(), spec, installOf("live"))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range []string{"kiwi", "7345", "e+07"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%q is in %v", part, err)
				}
			}
		})
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/version"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

func configMap(data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: " + data + "\n"
}

// known are capabilities that cannot change before the apply.
func known(options Options) Options {
	options.Capabilities = &cluster.Capabilities{Version: version.Info{Major: "1", Minor: "33", GitVersion: "v1.33.1"},
		APIVersions: []string{"v1", "apps/v1"}}
	return options
}

func TestRender_NamesWhatMakesAnObjectVolatile(t *testing.T) {
	cases := []struct {
		name     string
		template string
		files    map[string]string
		values   map[string]any
		reason   string // "" is pure
		set      bool
	}{
		{name: "nothing", template: configMap("b")},
		{name: "the word in a text", template: configMap("now is the date of lookup")},
		{name: "now", template: configMap(`{{ now | unixEpoch }}`), reason: "uses now"},
		{name: "date of a string is the current time", template: configMap(`{{ "2024-01-01" | date "2006" }}`), reason: "uses date"},
		{name: "random", template: configMap(`{{ randAlphaNum 8 | b64enc }}`), reason: "uses randAlphaNum"},
		{name: "certificate in a variable", template: `{{ $ca := genCA "x" 1 }}` + "\n" +
			configMap(`{{ $ca.Cert | b64enc }}`), reason: "uses genCA"},
		{name: "unused variable", template: `{{ $ca := genCA "x" 1 }}` + "\n" + configMap("b")},
		{name: "discarded", template: `{{ $_ := now }}` + "\n" + configMap("b")},
		{name: "pure ciphers", template: configMap(`{{ derivePassword 1 "long" "pw" "user" "host" | sha256sum }}`)},
		{name: "several", template: configMap(`{{ printf "%s%s" uuidv4 (now | toString) }}`), reason: "uses now and uuidv4"},
		{name: "lookup of a value", template: configMap(`{{ (lookup "v1" "Secret" "x" "y").data | default "none" | quote }}`),
			reason: "uses lookup"},
		{name: "lookup decides an object", template: `{{ if not (lookup "v1" "ConfigMap" "x" "y") }}` + "\n" + configMap("b") +
			"{{ end }}", reason: "uses lookup", set: true},
		{name: "lookup decides a value", template: `{{ $old := lookup "v1" "Secret" "x" "y" }}` + "\n" +
			configMap(`{{ if $old }}kept{{ else }}{{ randAlpha 5 }}{{ end }}`), reason: "uses lookup and randAlpha"},
		{name: "random name", template: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x-{{ randAlpha 5 | lower }}\n",
			reason: "uses randAlpha", set: true},
		{name: "range over lookup", template: `{{ range (lookup "v1" "Node" "" "").items }}` + "\n---\n" +
			strings.Replace(configMap("b"), "one", "two", 1) + "{{ end }}\n---\n" + configMap("b"), reason: "uses lookup", set: true},
		{name: "through include", template: configMap(`{{ include "pw" . }}`),
			files: map[string]string{"templates/_h.tpl": `{{ define "pw" }}{{ template "deep" . }}{{ end }}{{ define "deep" }}{{ randNumeric 4 ` +
				`}}{{ end }}`}, reason: "uses randNumeric"},
		{name: "through another include of the same file", template: configMap(`{{ include "ok" . }}`),
			files: map[string]string{"templates/_h.tpl": `{{ define "pw" }}{{ randNumeric 4 }}{{ end }}{{ define "ok" }}x{{ end }}`}},
		{name: "through a checksum", template: configMap(`{{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}`),
			files: map[string]string{"templates/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" +
				"stringData: {a: {{ randAlpha 4 | quote }}}\n"}, reason: "uses randAlpha"},
		{name: "checksum of an object that lookup decides",
			template: configMap(`{{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}`),
			files: map[string]string{"templates/secret.yaml": "{{ if lookup \"a\" \"b\" \"c\" \"d\" }}\nkind: Secret\napiVersion: v1\n" +
				"metadata: {name: s}\n{{ end }}"}, reason: "uses lookup", set: true},
		{name: "include by a computed name", template: configMap(`{{ include (printf "%s.pw" .Chart.Name) . }}`),
			files:  map[string]string{"templates/_h.tpl": `{{ define "sample.pw" }}{{ uuidv4 }}{{ end }}{{ define "other" }}{{ now }}{{ end }}`},
			reason: "uses uuidv4"},
		{name: "argument of include", template: configMap(`{{ include "show" (dict "v" (randAlpha 3)) }}`),
			files: map[string]string{"templates/_h.tpl": `{{ define "show" }}{{ .v }}{{ end }}`}, reason: "uses randAlpha"},
		{name: "tpl of a pure value", template: configMap(`{{ tpl .Values.t . }}`), values: map[string]any{"t": "{{ .Release.Name }} now"}},
		{name: "tpl of an impure value", template: configMap(`{{ tpl .Values.t . }}`), values: map[string]any{"t": "{{ uuidv4 }}"},
			reason: "uses uuidv4"},
		{name: "impure value without tpl", template: configMap(`{{ .Values.t | quote }}`), values: map[string]any{"t": "{{ uuidv4 }}"}},
		{name: "tpl of a literal", template: configMap(`{{ tpl "{{ now }}" . | quote }}`), reason: "uses now"},
		{name: "tpl of a file", template: configMap(`{{ tpl (.Files.Get "x.txt") . | quote }}`),
			files: map[string]string{"x.txt": "{{ randAlpha 3 }}"}, reason: "uses randAlpha"},
		{name: "keys in random order", template: configMap(`{{ keys (dict "a" 1 "b" 2) | join "," }}`), reason: "uses keys"},
		{name: "keys in order", template: configMap(`{{ keys (dict "a" 1 "b" 2) | sortAlpha | join "," }}`)},
		{name: "keys for a question", template: configMap(`{{ has "a" (keys (dict "a" 1)) }}`)},
		{name: "shared values", template: configMap(`{{ .Values.password | default "x" }}`),
			files: map[string]string{"templates/z.yaml": "{{ $_ := set .Values \"password\" (randAlpha 4) }}\n"}, reason: "uses randAlpha"},
		{name: "own dict", template: `{{ $d := dict }}{{ $_ := set $d "a" (randAlpha 3) }}` + "\n" + configMap("b")},
		{name: "own dict printed", template: `{{ $d := dict }}{{ $_ := set $d "a" (randAlpha 3) }}` + "\n" +
			configMap("{{ $d.a }}"), reason: "uses randAlpha"},
		{name: "assigned in a branch", template: `{{ $x := "a" }}{{ if lookup "v1" "Secret" "x" "y" }}{{ $x = "b" }}{{ end }}` + "\n" +
			configMap("{{ $x }}"), reason: "uses lookup"},
		{name: "notes", template: configMap("b"), files: map[string]string{"templates/NOTES.txt": "{{ now }}"}},
		{name: "recursion", template: configMap(`{{ include "r" 3 }}`),
			files: map[string]string{"templates/_h.tpl": `{{ define "r" }}{{ if gt (int .) 0 }}{{ include "r" (sub (int .) 1) }}{{ randInt 1 9 ` +
				`}}{{ end }}{{ end }}`}, reason: "uses randInt"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"templates/one.yaml": c.template}
			for name, text := range c.files {
				files[name] = text
			}
			spec := specWith(t, files)
			spec.Values = c.values
			r := mustRender(t, spec, known(installOf("live")))
			key := object.Key("v1/ConfigMap/one")
			for other := range r.Objects {
				if strings.Contains(string(other), "ConfigMap/x-") {
					key = other
				}
			}
			if r.Volatile[key] != c.reason {
				t.Errorf("reason is %q, want %q", r.Volatile[key], c.reason)
			}
			if (r.VolatileSet != "") != c.set {
				t.Errorf("volatile set: %q, want %v", r.VolatileSet, c.set)
			}
			if c.reason != "" && r.Digest != object.Digest(r.steady()) {
				t.Error("the digest counts volatile objects")
			}
		})
	}
}

func TestRender_VolatileObjectsAreNotInTheDigest(t *testing.T) {
	spec := specWith(t, map[string]string{
		"templates/one.yaml": configMap("{{ randAlphaNum 20 }}"),
		"templates/two.yaml": strings.Replace(configMap("b"), "one", "two", 1),
	})
	first, second := mustRender(t, spec, installOf("live")), mustRender(t, spec, installOf("live"))
	if first.Objects["v1/ConfigMap/one"] == second.Objects["v1/ConfigMap/one"] {
		t.Error("two random renderings are the same")
	}
	if first.Digest != second.Digest {
		t.Error("the digest differs")
	}
}

func TestRender_CapabilitiesThatMayChange(t *testing.T) {
	monitor := `{{ if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}` + "\n" + configMap("b") + "{{ end }}\n---\n" +
		strings.Replace(configMap("b"), "one", "two", 1)
	cases := []struct {
		name, template string
		volatile, set  bool
	}{
		{"version printed", configMap(`{{ .Capabilities.KubeVersion.Version }}`), true, false},
		{"version compared", configMap(`{{ if semverCompare ">=1.32-0" .Capabilities.KubeVersion.Version }}x{{ else }}y{{ end }}`), true, false},
		{"version below the floor", configMap(`{{ if semverCompare ">=1.19-0" .Capabilities.KubeVersion.Version }}x{{ else }}y{{ end }}`),
			false, false},
		{"API decides an object", monitor, false, true},
		{"API that is always there", configMap(`{{ .Capabilities.APIVersions.Has "apps/v1" }}`), false, false},
		{"API asked by a variable", `{{ $api := "x/v1" }}` + "\n" + configMap(`{{ .Capabilities.APIVersions.Has $api }}`), true, false},
		{"all APIs", configMap(`{{ .Capabilities.APIVersions | toJson | quote }}`), true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := specWith(t, map[string]string{"templates/one.yaml": c.template})
			options := known(installOf("live"))
			fixed := mustRender(t, spec, options)
			if !fixed.DependsOnCapabilities {
				t.Error("the chart is said not to ask for capabilities")
			}
			if len(fixed.Volatile) != 0 || fixed.VolatileSet != "" {
				t.Errorf("volatile although the capabilities are fixed: %v %s", fixed.Volatile, fixed.VolatileSet)
			}
			options.CapabilitiesMayChange = true
			open := mustRender(t, spec, options)
			if _, volatile := open.Volatile["v1/ConfigMap/one"]; volatile != c.volatile {
				t.Errorf("volatile: %v", open.Volatile)
			}
			if (open.VolatileSet != "") != c.set {
				t.Errorf("set: %q", open.VolatileSet)
			}
			options.Capabilities, options.CapabilitiesMayChange = nil, false
			if blind := mustRender(t, spec, options); len(blind.Volatile) != len(open.Volatile) {
				t.Errorf("without capabilities volatile are %v", blind.Volatile)
			}
		})
	}
}

func TestRender_OperationThatMayChange(t *testing.T) {
	spec := specWith(t, map[string]string{
		"templates/one.yaml": configMap(`"{{ .Release.IsInstall }}"`),
		"templates/two.yaml": strings.Replace(configMap("b"), "one", "two", 1),
	})
	options := known(installOf("live"))
	if r := mustRender(t, spec, options); len(r.Volatile) != 0 {
		t.Errorf("volatile: %v", r.Volatile)
	}
	options.OperationMayChange = true
	if r := mustRender(t, spec, options); len(r.Volatile) != 1 || !strings.Contains(r.Volatile["v1/ConfigMap/one"], "install or an upgrade") {
		t.Errorf("volatile: %v", r.Volatile)
	}
	spec = specWith(t, map[string]string{"templates/one.yaml": "{{ if .Release.IsInstall }}\n" + configMap("b") + "{{ end }}"})
	if r := mustRender(t, spec, options); r.VolatileSet == "" {
		t.Error("an object of installs only is said to be in every rendering")
	}
}

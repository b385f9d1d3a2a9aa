// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// hunt fails when a secret, or what is usually made of it, is in anything that may be shown.
func hunt(t *testing.T, r *Result, secrets ...string) {
	t.Helper()
	shown := r.Notes + fmt.Sprint(r.Objects, r.Volatile, r.VolatileSet, Review(r))
	for _, secret := range secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), strings.ToUpper(secret)} {
			if strings.Contains(shown, form) {
				t.Errorf("%q is shown", form)
			}
		}
	}
}

func TestRender_MasksEverythingThatDependsOnASecret(t *testing.T) {
	const token, url = "kV93-canary-Zq", "postgres://orders:s3cr3t-canary@db.internal:5432/orders"
	spec := specOf(t, "orders")
	spec.Sensitive = map[string]any{"apiToken": token}
	spec.WriteOnly = map[string]any{"databaseURL": url}
	r := mustRender(t, spec, installOf("live"))
	hunt(t, r, token, url, "s3cr3t-canary", "db.internal")
	deployment := r.Objects["apps/v1/Deployment/live-orders"]
	for _, want := range []string{`"checksum/secret":"(sensitive value)"`, `"checksum/config":"(sensitive value)"`,
		`registry.company.com/data-collection:v1.1.1`} {
		if !strings.Contains(deployment, want) {
			t.Errorf("missing %s in %s", want, deployment)
		}
	}
	if config := r.Objects["v1/ConfigMap/live-orders"]; !strings.Contains(config, `"DATABASE_HOST":"(sensitive value)"`) ||
		!strings.Contains(config, `"LOG_LEVEL":"info"`) {
		t.Errorf("ConfigMap is %s", config)
	}
	if !strings.Contains(r.Notes, "Orders v1.1.1") || !strings.Contains(r.Notes, object.MaskSecret) ||
		!strings.Contains(r.Notes, object.MaskRevision) {
		t.Errorf("notes are %q", r.Notes)
	}
	again := spec
	again.WriteOnly = map[string]any{"databaseURL": "postgres://other:longer-than-before@elsewhere:1/x"}
	if other := mustRender(t, again, installOf("live")); other.Digest != r.Digest {
		t.Error("another secret gives another digest: the plan of an ephemeral value could not be applied")
	}
}

func TestRender_MasksSecretDataWithoutSecretValues(t *testing.T) {
	r := mustRender(t, specOf(t, "orders"), installOf("live"))
	if secret := r.Objects["v1/Secret/live-orders"]; strings.Contains(secret, "changeme") || !strings.Contains(secret, object.MaskSecret) {
		t.Errorf("Secret is %s", secret)
	}
}

// Each chart takes its secret apart, or checks it, in a way that not every sentinel survives.
func TestRender_MasksSecretsOfWhichTheChartIsParticular(t *testing.T) {
	config := func(data string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  public: shown\n" + data
	}
	cases := []struct {
		name, template string
		secret         any
		hidden         []string
	}{
		{"base64 of JSON", config("  u: {{ (.Values.s | b64dec | fromJson).user }}\n"),
			base64.StdEncoding.EncodeToString([]byte(`{"user":"canary-user","n":12}`)), []string{"canary-user"}},
		{"digits", config("  p: \"{{ if lt (int .Values.s) 10000 }}{{ fail \"too small\" }}{{ end }}{{ add (int .Values.s) 1 }}\"\n"), "734519",
			[]string{"734519", "734520"}},
		{"number", config("  p: \"{{ .Values.s }}\"\n"), int64(73451987), []string{"73451987"}},
		{"substring", config("  p: {{ .Values.s | trunc 3 }}\n"), "Qjx-canary", []string{"Qjx"}},
		{"hex", config("  p: {{ regexFind \"^[0-9a-f]{16}$\" .Values.s | required \"not hex\" }}\n"), "deadbeef01234567",
			[]string{"deadbeef01234567"}},
		{"upper case digest", config("  p: {{ .Values.s | sha256sum | upper }}\n"), "canary", nil},
		{"prefix", config("  p: {{ if not (hasPrefix \"sk_live_\" .Values.s) }}{{ fail (print \"bad key \" .Values.s) }}{{ end }}{{ .Values.s " +
			"| quote }}\n"), "sk_live_canary51", []string{"sk_live_canary51"}},
		{"inside a list", config("  p: {{ join \",\" .Values.s }}\n"), []any{"canary-a", "canary-b"}, []string{"canary-a", "canary-b"}},
		{"PEM", config("  p: {{ if not (contains \"-----BEGIN KEY-----\" .Values.s) }}{{ fail \"no PEM\" }}{{ end }}{{ .Values.s | quote }}\n"),
			"-----BEGIN KEY-----\nY2FuYXJ5Y2FuYXJ5\n-----END KEY-----\n", []string{"Y2FuYXJ5Y2FuYXJ5"}},
		{"name of an object", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"x-{{ .Values.s }}\"}\n", "canary-name",
			[]string{"canary-name"}},
		{"key of a map", config("  {{ .Values.s }}: x\n"), "canary-key", []string{"canary-key"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := specWith(t, map[string]string{"templates/one.yaml": c.template})
			spec.WriteOnly = map[string]any{"s": c.secret}
			r := mustRender(t, spec, installOf("live"))
			hunt(t, r, c.hidden...)
			if !strings.Contains(fmt.Sprint(r.Objects), object.MaskSecret) {
				t.Errorf("nothing is masked: %v", r.Objects)
			}
		})
	}
}

func TestRender_KeepsWhatDoesNotDependOnASecretReadable(t *testing.T) {
	spec := specOf(t, "orders")
	plain := mustRender(t, spec, installOf("live"))
	spec.Sensitive = map[string]any{"apiToken": "token-of-the-defaults"}
	masked := mustRender(t, spec, installOf("live"))
	for key, text := range plain.Objects {
		if key == "apps/v1/Deployment/live-orders" { // checksum/secret
			continue
		}
		if masked.Objects[key] != text {
			t.Errorf("%s changed to %s", key, masked.Objects[key])
		}
	}
}

func TestRender_ErrorHoldsNoSecret(t *testing.T) {
	for name, template := range map[string]string{
		"fail":     "{{ fail (print \"bad key \" .Values.s) }}",
		"encoded":  "{{ fail (b64enc .Values.s) }}",
		"not YAML": "a: {{ .Values.s }}\n b: [",
		"tpl":      "{{ tpl (print \"{{ \" .Values.s \" }}\") . }}",
	} {
		t.Run(name, func(t *testing.T) {
			spec := specWith(t, map[string]string{"templates/one.yaml": template})
			spec.Sensitive = map[string]any{"s": "canary!canary"}
			_, err := Chart(t.Context(), spec, installOf("live"))
			if err == nil {
				t.Fatal("no error")
			}
			for _, form := range []string{"canary!canary", base64.StdEncoding.EncodeToString([]byte("canary!canary"))} {
				if strings.Contains(err.Error(), form) {
					t.Errorf("%s is in %v", form, err)
				}
			}
		})
	}
}

func TestRender_SchemaDoesNotValidateSentinels(t *testing.T) {
	spec := specWith(t, map[string]string{
		"values.schema.json": `{"type":"object","properties":{"s":{"type":"string","pattern":"^canary$"}}}`,
		"templates/one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {s: {{ .Values.s | sha256sum }}}\n",
	})
	spec.Sensitive = map[string]any{"s": "canary"}
	r := mustRender(t, spec, installOf("live"))
	if !strings.Contains(r.Objects["v1/ConfigMap/one"], object.MaskSecret) {
		t.Errorf("ConfigMap is %s", r.Objects["v1/ConfigMap/one"])
	}
}

func TestRender_PresenceThatDependsOnAWriteOnlyValueIsVolatile(t *testing.T) {
	spec := specWith(t, map[string]string{"templates/one.yaml": "{{ if .Values.on }}\napiVersion: v1\nkind: ConfigMap\n" +
		"metadata: {name: one}\ndata: {a: b}\n{{ end }}"})
	spec.WriteOnly = map[string]any{"on": true}
	if r := mustRender(t, spec, installOf("live")); r.VolatileSet == "" {
		t.Error("the set of objects is said to be fixed")
	}
	spec.Sensitive, spec.WriteOnly = spec.WriteOnly, nil
	if r := mustRender(t, spec, installOf("live")); r.VolatileSet != "" {
		t.Errorf("a stored value cannot change before the apply: %s", r.VolatileSet)
	}
}

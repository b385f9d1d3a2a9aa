// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	o, err := decodeObject(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestMaskSecretData_HidesEachEntryOfASecretOnly(t *testing.T) {
	secret := decode(t, `{"apiVersion":"v1","kind":"Secret","type":"Opaque","data":{"a":"eA=="},"stringData":{"b":"y"},"binaryData":"odd",
		"metadata":{"name":"s","annotations":{"x":"y","kubectl.kubernetes.io/last-applied-configuration":"{secret}"}}}`)
	before, _ := Canonical(secret)
	got, _ := Canonical(MaskSecretData(secret))
	want := `{"apiVersion":"v1","binaryData":"(sensitive value)","data":{"a":"(sensitive value)"},"kind":"Secret","metadata":{"annotations":` +
		`{"kubectl.kubernetes.io/last-applied-configuration":"(sensitive value)","x":"y"},"name":"s"},"stringData":{"b":"(sensitive ` +
		`value)"},"type":"Opaque"}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if after, _ := Canonical(secret); after != before {
		t.Error("the input was changed")
	}
	for _, other := range []string{
		`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"x"}}`,
		`{"apiVersion":"example.com/v1","kind":"Secret","data":{"a":"x"}}`,
	} {
		o := decode(t, other)
		if !reflect.DeepEqual(MaskSecretData(o), o) {
			t.Errorf("%s was changed", other)
		}
	}
}

func TestMaskDifferences(t *testing.T) {
	tests := map[string]struct {
		base     string
		variants []string
		want     string
		masked   []string
	}{
		"nothing differs":   {`{"a":1}`, []string{`{"a":1.0}`}, `{"a":1}`, nil},
		"a leaf":            {`{"a":{"b":"x","c":"y"}}`, []string{`{"a":{"b":"X","c":"y"}}`}, `{"a":{"b":"M","c":"y"}}`, []string{"a.b"}},
		"in one of several": {`{"a":1,"b":1}`, []string{`{"a":2,"b":1}`, `{"a":1,"b":2}`}, `{"a":"M","b":"M"}`, []string{"a", "b"}},
		"an item of a list": {
			`{"l":[{"n":1},{"n":2}]}`, []string{`{"l":[{"n":1},{"n":3}]}`}, `{"l":[{"n":1},{"n":"M"}]}`, []string{"l[1].n"},
		},
		"a longer list":            {`{"s":{"l":[1]}}`, []string{`{"s":{"l":[1,2]}}`}, `{"s":{"l":"M"}}`, []string{"s.l"}},
		"a key made from a secret": {`{"d":{"secret1":1,"x":1}}`, []string{`{"d":{"secret2":1,"x":1}}`}, `{"d":"M"}`, []string{"d"}},
		"a missing key":            {`{"d":{"e":{"a":1},"f":2}}`, []string{`{"d":{"e":{},"f":2}}`}, `{"d":{"e":"M","f":2}}`, []string{"d.e"}},
		"a missing field":          {`{"d":{"a":1},"e":1}`, []string{`{"e":1}`}, `{"d":"M","e":1}`, []string{"d"}},
		"a field only there":       {`{"e":1}`, []string{`{"e":1,"d":{}}`}, `{"e":1}`, nil},
		"another type":             {`{"e":{"a":1}}`, []string{`{"e":"text"}`}, `{"e":"M"}`, []string{"e"}},
		"null":                     {`{"e":null}`, []string{`{"e":1}`}, `{"e":"M"}`, []string{"e"}},
		"a checksum annotation": {`{"metadata":{"annotations":{"checksum/secret":"1"}}}`, []string{
			`{"metadata":{"annotations":{"checksum/secret":"2"}}}`,
		},
			`{"metadata":{"annotations":{"checksum/secret":"M"}}}`, []string{`metadata.annotations["checksum/secret"]`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var variants []map[string]any
			for _, v := range test.variants {
				variants = append(variants, decode(t, v))
			}
			base := decode(t, test.base)
			out, masked := MaskDifferences(base, "M", variants...)
			if got, _ := Canonical(out); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if !slices.Equal(masked, test.masked) {
				t.Errorf("masked %q, want %q", masked, test.masked)
			}
			if unchanged := decode(t, test.base); !reflect.DeepEqual(base, unchanged) {
				t.Error("the input was changed")
			}
		})
	}
}

// FuzzMaskDifferences puts a secret in many forms into an object and looks for it in the result.
func FuzzMaskDifferences(f *testing.F) {
	f.Add(`{"data":{"url":"postgres://u:SECRET@h","SECRET":"x","plain":[1,"SECRET"]}}`, "hunter2")
	f.Add(`{"l":[["SECRET"],{"a":{"b":"aSECRETb"}}],"SECRET":{}}`, "p")
	f.Fuzz(func(t *testing.T, template, secret string) {
		if len(secret) < 8 || strings.Contains(template, secret) || strings.Contains(MaskSecret, secret) ||
			strings.Contains("placeholder-placeholder", secret) {
			return
		}
		quoted, err := json.Marshal(secret)
		if err != nil || string(quoted) != `"`+secret+`"` {
			return // the secret would be escaped, and could not be searched for
		}
		base, err := decodeObject(strings.ReplaceAll(template, "SECRET", secret))
		if err != nil || base == nil {
			return
		}
		variant, err := decodeObject(strings.ReplaceAll(template, "SECRET", "placeholder-placeholder"))
		if err != nil {
			return
		}
		for name := range base {
			if strings.Contains(name, secret) {
				return // field names at the top are Kubernetes' own
			}
		}
		out, masked := MaskDifferences(base, MaskSecret, variant)
		text, err := Canonical(out)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text+strings.Join(masked, " "), secret) {
			t.Fatalf("the secret %q is left in %s (masked %q)", secret, text, masked)
		}
	})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
)

// Helm's own validation fetches what a schema refers to. It runs when a chart is rendered, in plans too.
func TestLoad_LeavesNoReferenceThatHelmWouldFetch(t *testing.T) {
	r := newRepository(t, nil)
	local := filepath.Join(t.TempDir(), "local.json")
	if err := os.WriteFile(local, []byte(`{"type": "integer"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, schema := range map[string]string{
		"an address":            `{"properties": {"image": {"$ref": "` + r.url + `/schema.json"}}}`,
		"an address with a key": `{"properties": {"image": {"$ref": "` + r.url + `/schema.json#/definitions/image"}}}`,
		"an escaped keyword":    `{"properties": {"image": {"\u0024ref": "` + r.url + `/schema.json"}}}`,
		"a dynamic reference":   `{"properties": {"image": {"$dynamicRef": "` + r.url + `/schema.json"}}}`,
		"a file":                `{"properties": {"image": {"$ref": "file://` + local + `"}}}`,
		"a path":                `{"properties": {"image": {"$ref": "` + local + `"}}}`,
		"a path below an id":    `{"$id": "` + r.url + `/a/", "properties": {"image": {"$ref": "schema.json"}}}`,
		"a meta-schema":         `{"$schema": "` + r.url + `/meta.json", "type": "object"}`,
		"deep inside":           `{"allOf": [{"not": {"items": [{"$ref": "` + r.url + `/schema.json"}]}}, {}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := getChart(t, map[string]string{"values.schema.json": schema})
			parsed, err := c.Load()
			if err != nil {
				t.Fatal(err)
			}
			err = chartutil.ValidateAgainstSchema(parsed, map[string]any{"image": "text"})
			if err != nil && name != "deep inside" {
				t.Errorf("the reference was followed: %v", err)
			}
			if n := r.requests.Load(); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestLoad_KeepsTheReferencesOfASchemaToItself(t *testing.T) {
	const definitions = `"definitions": {"image": {"type": "object"}}`
	for name, schema := range map[string]string{
		"a key": `{` + definitions + `, "properties": {"image": {"$ref": "#/definitions/image"}}}`,
		"its own name": `{"$id": "https://example.com/web.json", ` + definitions +
			`, "properties": {"image": {"$ref": "https://example.com/web.json#/definitions/image"}}}`,
		"a draft": `{"$schema": "http://json-schema.org/draft-07/schema#", ` + definitions +
			`, "properties": {"image": {"$ref": "#/definitions/image"}}}`,
		"data": `{"default": {"$ref": "x"}, ` + definitions + `, "properties": {"image": {"$ref": "#/definitions/image"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := getChart(t, map[string]string{"values.schema.json": schema}).Load()
			if err != nil {
				t.Fatal(err)
			}
			if string(parsed.Schema) != schema {
				t.Errorf("the schema was changed: %s", parsed.Schema)
			}
			err = chartutil.ValidateAgainstSchema(parsed, map[string]any{"image": "text"})
			if err == nil || !strings.Contains(err.Error(), "image") {
				t.Errorf("the reference is not followed: %v", err)
			}
		})
	}
}

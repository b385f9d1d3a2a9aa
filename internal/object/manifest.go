// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

const sourceComment = "# Source:"

// document is one YAML document of a manifest.
type document struct {
	text   string
	source string
	// skipped is the number of lines between the beginning of the document and the template's own output.
	skipped int
}

// ParseManifest splits a multi-document manifest into objects in their order; Lists are split into their items. Errors: *ParseError
// with document number, source comment and line; *DuplicateKeyError.
func ParseManifest(manifest string, releaseNamespace string) ([]Rendered, error) {
	var objects []Rendered
	sources := map[Key]string{}
	number := 0
	for _, d := range splitDocuments(manifest) {
		fields, err := parseDocument(d.text)
		if fields == nil && err == nil {
			continue
		}
		number++
		fail := func(reason string, line int) error {
			return &ParseError{Document: number, Source: d.source, Line: line, Reason: reason}
		}
		if err != nil {
			reason, line := yamlReason(err)
			if line > 0 {
				line = max(line-d.skipped, 1)
			}
			return nil, fail(reason, line)
		}
		for _, o := range flatten(fields) {
			key, err := KeyOf(o, releaseNamespace)
			if err != nil {
				return nil, fail(err.Error(), 0)
			}
			if first, twice := sources[key]; twice {
				return nil, &DuplicateKeyError{Key: key, Sources: []string{first, d.source}}
			}
			sources[key] = d.source
			objects = append(objects, Rendered{Key: key, Source: d.source, Hook: isHook(o), Object: o})
		}
	}
	return objects, nil
}

// splitDocuments splits at lines that begin with "---", as Helm does.
func splitDocuments(manifest string) []document {
	var documents []document
	var current strings.Builder
	flush := func() {
		if strings.TrimSpace(current.String()) != "" {
			documents = append(documents, newDocument(current.String()))
		}
		current.Reset()
	}
	for line := range strings.Lines(strings.TrimPrefix(manifest, "\ufeff")) {
		rest, marker := strings.CutPrefix(line, "---")
		if marker && (strings.TrimSpace(rest) == "" || rest[0] == ' ' || rest[0] == '\t') {
			flush()
			line = strings.TrimLeft(rest, " \t")
			if strings.TrimSpace(line) == "" {
				continue
			}
		}
		current.WriteString(line)
	}
	flush()
	return documents
}

func newDocument(text string) document {
	d := document{text: text}
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		if source, ok := strings.CutPrefix(trimmed, sourceComment); ok {
			d.source, d.skipped = strings.TrimSpace(source), number
			break
		}
		if trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			break
		}
	}
	return d
}

// parseDocument returns nil for a document without content.
func parseDocument(text string) (map[string]any, error) {
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	decoded, err := decodeJSON(asJSON)
	if err != nil {
		return nil, err
	}
	switch content := decoded.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		if len(content) == 0 {
			return nil, nil
		}
		return content, nil
	default:
		return nil, fmt.Errorf("it is %s, not an object with apiVersion, kind and metadata", describeKind(content))
	}
}

// decodeJSON decodes with numbers as int64 where they are integral and fit, float64 where they have a fraction, and
// json.Number beyond both, so that no digit is lost.
func decodeJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	return plainNumbers(v), nil
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = plainNumbers(value)
		}
	case []any:
		for i, value := range v {
			v[i] = plainNumbers(value)
		}
	case json.Number:
		text := canonicalNumber(v.String())
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && canonicalFloat(f) == text {
			return f
		}
		return json.Number(text)
	}
	return v
}

// flatten splits Lists into their items, also nested Lists. Items of a typed list ("ConfigMapList") may leave out their own kind.
func flatten(o map[string]any) []map[string]any {
	items, ok := o["items"].([]any)
	kind, _ := o["kind"].(string)
	if !ok || !strings.HasSuffix(kind, "List") {
		return []map[string]any{o}
	}
	var objects []map[string]any
	for _, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			fields = map[string]any{}
		}
		if fields["kind"] == nil && kind != "List" {
			fields["kind"] = strings.TrimSuffix(kind, "List")
			if fields["apiVersion"] == nil {
				fields["apiVersion"] = o["apiVersion"]
			}
		}
		objects = append(objects, flatten(fields)...)
	}
	return objects
}

func isHook(o map[string]any) bool {
	metadata, _ := o["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	hook, _ := annotations["helm.sh/hook"].(string)
	return strings.TrimSpace(hook) != ""
}

var yamlLine = regexp.MustCompile(`line ([0-9]+): ?`)

// yamlReason removes the prefixes of the YAML libraries from an error and finds its line.
func yamlReason(err error) (reason string, line int) {
	reason = err.Error()
	if place := yamlLine.FindStringSubmatch(reason); place != nil {
		line, _ = strconv.Atoi(place[1])
		reason = strings.Replace(reason, place[0], "", 1)
	}
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: "} {
		reason = strings.TrimPrefix(reason, prefix)
	}
	return strings.TrimSpace(reason), line
}

func describeKind(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}

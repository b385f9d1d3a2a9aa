// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

// MaxSize is the number of bytes that a file of values may have. Helm stores those of a release in a Secret of at most 1 MiB, packed.
const MaxSize = 32 << 20

// FileError is an invalid or unreadable values file.
type FileError struct {
	Path   string
	Line   int // counted from 1; 0 if unknown
	Reason string
	Err    error // the file system's error, nil for invalid content
}

func (e *FileError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("values file %s, line %d: %s", e.Path, e.Line, e.Reason)
	}
	return fmt.Sprintf("values file %s: %s", e.Path, e.Reason)
}

func (e *FileError) Unwrap() error { return e.Err }

// ReadFile reads a values file with Helm's YAML rules (sigs.k8s.io/yaml); an empty file is an empty map. Numbers are int64 if
// they are integral, so that templates print 1000000 and not 1e+06. Duplicate keys, a second document, a top level that is not a
// map, and text that is not UTF-8 are *FileError with file and line. So is a file that cannot be read.
func ReadFile(path string) (map[string]any, error) {
	content, err := regularfile.Read(path, MaxSize)
	if err != nil {
		return nil, unreadable(path, err)
	}
	v, err := Parse(content)
	var fileError *FileError
	if errors.As(err, &fileError) {
		fileError.Path = path
		return nil, fileError
	}
	return v, err
}

// Parse reads the content of a values file; see ReadFile. The *FileError has no Path.
func Parse(content []byte) (map[string]any, error) {
	if line := firstInvalidLine(content); line > 0 {
		return nil, &FileError{Line: line, Reason: "the text is no UTF-8"}
	}
	if line := secondDocumentLine(content); line > 0 {
		return nil, &FileError{Line: line, Reason: "a second document begins; Helm would read the first one only"}
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return nil, yamlError(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, &FileError{Reason: err.Error()}
	}
	switch v := plainNumbers(v).(type) {
	case nil:
		return map[string]any{}, nil
	case map[string]any:
		return v, nil
	default:
		return nil, &FileError{Line: firstContentLine(content), Reason: fmt.Sprintf("the top level is %s; values are a map of keys", Kind(v))}
	}
}

// plainNumbers turns the numbers of a decoded document into int64 if they are integral, else float64, and
// leaves json.Number if an integer does not fit.
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
		if n, err := v.Int64(); err == nil {
			return n
		}
		if !strings.ContainsAny(v.String(), ".eE") {
			return v
		}
		if f, err := v.Float64(); err == nil {
			if n := int64(f); float64(n) == f && n > -1<<53 && n < 1<<53 {
				return n
			}
			return f
		}
	}
	return v
}

var (
	yamlLine     = regexp.MustCompile(`line ([0-9]+): ?`)
	duplicateKey = regexp.MustCompile(`key "?(.*?)"? already set in map`)
	yamlPrefixes = []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:", "error unmarshaling JSON: "}
)

func yamlError(err error) *FileError {
	reason := err.Error()
	for _, prefix := range yamlPrefixes {
		reason = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(reason), prefix))
	}
	// Several findings are on one line each; the first one is enough.
	reason, _, _ = strings.Cut(reason, "\n")
	out := &FileError{Reason: strings.TrimSpace(reason)}
	if place := yamlLine.FindStringSubmatch(reason); place != nil {
		out.Line, _ = strconv.Atoi(place[1])
		out.Reason = strings.TrimSpace(strings.Replace(reason, place[0], "", 1))
	}
	switch {
	case strings.Contains(out.Reason, "map key") && strings.Contains(out.Reason, "<nil>"):
		out.Reason = "a key is null; keys of values are texts"
	case strings.Contains(out.Reason, "map key"):
		out.Reason = "a key is a list or a map; keys of values are texts"
	}
	if number, ok := strings.CutPrefix(out.Reason, "json: unsupported value: "); ok {
		out.Reason = number + " is a number that values cannot hold; write it in quotes if a text is meant"
	}
	if key := duplicateKey.FindStringSubmatch(out.Reason); key != nil {
		out.Reason = fmt.Sprintf("the key %q is defined twice in one map", key[1])
	}
	return out
}

func firstInvalidLine(content []byte) int {
	for i, line := range bytes.Split(content, []byte("\n")) {
		if !utf8.Valid(line) {
			return i + 1
		}
	}
	return 0
}

// secondDocumentLine finds the line that separates two documents with content. A line that begins with "---" is always a separator.
func secondDocumentLine(content []byte) int {
	seen, marker := false, 0
	for i, line := range strings.Split(string(content), "\n") {
		rest, isMarker := strings.CutPrefix(line, "---")
		isMarker = isMarker && (strings.TrimSpace(rest) == "" || rest[0] == ' ' || rest[0] == '\t')
		if isMarker {
			line = rest
			if seen && marker == 0 {
				marker = i + 1
			}
		}
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' || text[0] == '%' {
			continue
		}
		if marker > 0 {
			return marker
		}
		seen = true
	}
	return 0
}

func firstContentLine(content []byte) int {
	for i, line := range bytes.Split(content, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text != "" && !strings.HasPrefix(text, "#") && !strings.HasPrefix(text, "---") {
			return i + 1
		}
	}
	return 0
}

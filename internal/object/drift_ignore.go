// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// IgnoreRule names leaves of live objects that may differ from the rendered ones, because another controller sets them.
type IgnoreRule struct {
	// Kind and Name of the objects, empty for all. Name may contain the wildcards of path.Match.
	Kind, Name string
	// Paths are as Drift.Path shows them (spec.template.spec.containers[app].image), or JSON pointers (/spec/replicas). Everything
	// below a path is ignored, too. * matches one field or element; ** as the first part matches any number of them. Without paths,
	// the whole object is ignored.
	Paths []string
}

// Check returns an error for an invalid rule.
func (r IgnoreRule) Check() error {
	if r.Kind == "" && r.Name == "" && len(r.Paths) == 0 {
		return fmt.Errorf("the rule ignores everything")
	}
	if _, err := path.Match(r.Name, ""); err != nil {
		return fmt.Errorf("the name %q is no pattern: %w", r.Name, err)
	}
	for _, text := range r.Paths {
		parts, err := splitPath(text)
		if err != nil {
			return err
		}
		for i, part := range parts[1:] {
			if _, err := strconv.Atoi(part); err == nil && slices.Contains(namedLists, parts[i]) {
				return fmt.Errorf("the path %q names an element of %s by its place, which matches nothing: elements of %s go by their names, "+
					"as in %s[app]", text, parts[i], parts[i], parts[i])
			}
		}
	}
	return nil
}

// namedLists are fields of pods whose elements always have names, so that Drift.Path never contains their places.
var namedLists = []string{"containers", "initContainers", "ephemeralContainers", "volumes", "env", "imagePullSecrets"}

// Covers reports that a rule ignores a drift of an object.
func (r IgnoreRule) Covers(key Key, d Drift) bool {
	if !r.CoversObject(key) {
		return false
	}
	if len(r.Paths) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Paths, func(text string) bool {
		parts, err := splitPath(text)
		return err == nil && isAbove(parts, d.at)
	})
}

// CoversObject reports that the rule applies to an object.
func (r IgnoreRule) CoversObject(key Key) bool {
	_, kind, _, name := key.Parts()
	if r.Kind != "" && r.Kind != kind {
		return false
	}
	if r.Name == "" {
		return true
	}
	matches, err := path.Match(r.Name, name)
	return err == nil && matches
}

// isAbove reports that a path leads to a leaf, or to something above it.
func isAbove(parts []string, at treePath) bool {
	if len(parts) > 0 && parts[0] == "**" {
		for i := range at {
			if isAbove(parts[1:], at[i:]) {
				return true
			}
		}
		return len(parts) == 1
	}
	if len(parts) > len(at) {
		return false
	}
	for i, text := range parts {
		if text != "*" && text != at[i].name {
			return false
		}
	}
	return true
}

// splitPath splits a path in either notation.
func splitPath(text string) ([]string, error) {
	if strings.HasPrefix(text, "/") {
		parts := strings.Split(text[1:], "/")
		for i, p := range parts {
			parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
		}
		return parts, nil
	}
	var parts []string
	rest := text
	for rest != "" {
		if inside, after, ok := cutBrackets(rest); ok {
			parts, rest = append(parts, inside), strings.TrimPrefix(after, ".")
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, fmt.Errorf("the path %q is neither like spec.replicas or containers[app].image nor a JSON pointer like /spec/replicas", text)
		}
		parts, rest = append(parts, rest[:end]), strings.TrimPrefix(rest[end:], ".")
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("a path is empty")
	}
	return parts, nil
}

// cutBrackets reads [name] or ["any text"] at the beginning of a path.
func cutBrackets(text string) (inside, after string, ok bool) {
	if quoted, found := strings.CutPrefix(text, `["`); found {
		inside, after, ok = strings.Cut(quoted, `"]`)
		return inside, after, ok
	}
	if !strings.HasPrefix(text, "[") {
		return "", "", false
	}
	inside, after, ok = strings.Cut(text[1:], "]")
	return inside, after, ok && inside != ""
}

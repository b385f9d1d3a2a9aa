// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"regexp"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

const (
	// minWord is the length of a part of a masked leaf that is taken out of texts by itself.
	minWord = 5
	// maxDerived limits the words: a text is searched for all of them.
	maxDerived = 4000
)

var wordOfLeaf = regexp.MustCompile(`[^\s"'=,;:/@?&<>(){}\[\]]+`)

// addDerived makes scrub find what the chart has made of secrets, so that answers of the API server and logs, which quote it, do not
// show it either. What is public or shown anyway is left alone.
func (m *masks) addDerived(scrub *redact.Secrets, out *Result) {
	if m.brace == nil {
		return
	}
	var raw, shown []map[string]any
	for i, key := range m.keys {
		if o, err := object.Decode(out.Objects[key]); err == nil {
			raw, shown = append(raw, m.raw.Objects[i].Object), append(shown, o)
		}
	}
	AddDerived(scrub, raw, shown, m.public.has)
}

// AddDerived makes scrub find the texts that raw objects have where the shown ones are masked, each with the one at its index. Texts
// that are public, or shown elsewhere, stay. The caller completes scrub.
func AddDerived(scrub *redact.Secrets, raw, shown []map[string]any, public func(text string) bool) {
	var b strings.Builder
	for _, o := range shown {
		allTexts(o, func(text string) {
			b.WriteString(text)
			b.WriteByte('\n')
		})
	}
	visible := b.String()
	found := map[string]bool{}
	add := func(text string, least int) {
		if len(text) >= least && len(found) < maxDerived && !public(text) && !strings.Contains(visible, text) {
			found[text] = true
		}
	}
	for i, o := range raw {
		maskedTexts(o, shown[i], func(text string) {
			for line := range strings.Lines(text) {
				add(strings.TrimSpace(line), minPart)
				for _, word := range wordOfLeaf.FindAllString(line, -1) {
					add(word, minWord)
				}
			}
		})
	}
	for text := range found {
		scrub.AddText(text)
	}
}

// maskedTexts visits the texts, keys included, at which masked shows only that they are secret.
func maskedTexts(v, masked any, visit func(string)) {
	if masked == object.MaskSecret {
		allTexts(v, visit)
		return
	}
	switch v := v.(type) {
	case map[string]any:
		other, _ := masked.(map[string]any)
		for key, child := range v {
			maskedTexts(child, other[key], visit)
		}
	case []any:
		other, _ := masked.([]any)
		for i, child := range v {
			maskedTexts(child, at(other, i), visit)
		}
	}
}

func allTexts(v any, visit func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			visit(key)
			allTexts(child, visit)
		}
	case []any:
		for _, child := range v {
			allTexts(child, visit)
		}
	case bool, nil:
	default:
		visit(textOf(v))
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"maps"
	"regexp"
	"slices"
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
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(out.Objects)) {
		b.WriteString(string(key))
		b.WriteString(out.Objects[key])
	}
	shown := b.String()
	found := map[string]bool{}
	add := func(text string, least int) {
		if len(text) >= least && len(found) < maxDerived && !m.public.has(text) && !strings.Contains(shown, text) {
			found[text] = true
		}
	}
	for i, key := range m.keys {
		o := m.raw.Objects[i]
		if key != o.Key {
			if name, namespace := object.NameOf(o.Object); strings.Contains(string(key), object.MaskSecret) {
				add(name, minPart)
				add(namespace, minPart)
			}
		}
		masked, err := object.Decode(out.Objects[key])
		if err != nil {
			continue
		}
		maskedTexts(o.Object, masked, func(text string) {
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

// change says how a leaf is replaced.
type change struct {
	form form
	// tied gives equal secrets equal sentinels, for charts that compare them.
	tied bool
}

// sentinels replaces the leaves of secret values.
type sentinels struct {
	public *publicText
	// variant distinguishes the renderings: each has other sentinels.
	variant int
	// changes by the path of a leaf. A leaf without one stays as it is.
	changes map[string]change
	// keys says that the keys are replaced that the chart does not know.
	keys bool
}

// secretLeaf is a leaf that can hide something.
type secretLeaf struct {
	path  string
	value any
}

// secretLeaves are the leaves that can hide something: null deletes a key, and an empty text hides nothing.
func secretLeaves(secrets ...map[string]any) []secretLeaf {
	var out []secretLeaf
	for _, values := range secrets {
		redact.MapLeaves(values, "", func(path string, leaf any) any {
			if leaf != nil && leaf != "" {
				out = append(out, secretLeaf{path, leaf})
			}
			return leaf
		})
	}
	slices.SortFunc(out, func(a, b secretLeaf) int { return strings.Compare(a.path, b.path) })
	return slices.CompactFunc(out, func(a, b secretLeaf) bool { return a.path == b.path && textOf(a.value) == textOf(b.value) })
}

// keysOf are the keys on the way to a leaf, as far as the first list.
func (l secretLeaf) keysOf(secrets ...map[string]any) []string {
	keys := strings.Split(strings.TrimPrefix(l.path, "\x00"), "\x00")
	for i := range keys {
		for _, values := range secrets {
			var at any = values
			for _, key := range keys[:i] {
				m, _ := at.(map[string]any)
				at = m[key]
			}
			if _, list := at.([]any); list {
				return keys[:i]
			}
		}
	}
	return keys
}

// in replaces the leaves of one layer of values.
func (s *sentinels) in(values map[string]any) map[string]any {
	out, _ := s.tree(values, "").(map[string]any)
	return out
}

func (s *sentinels) tree(v any, path string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[s.key(key)] = s.tree(child, path+"\x00"+key)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = s.tree(child, path+"\x00"+strconv.Itoa(i))
		}
		return out
	}
	c, chosen := s.changes[path]
	if !chosen {
		return v
	}
	if c.tied {
		return s.leaf(v, c.form, newDice(s.variant, textOf(v)))
	}
	return s.leaf(v, c.form, newDice(s.variant, path))
}

// key is what replaces a key that the chart does not know. It is the same wherever the key is.
func (s *sentinels) key(key string) string {
	if !s.keys || key == "" || s.public.knows(key) {
		return key
	}
	return everyCharacter.text(s, key, newDice(s.variant, "key", key))
}

// leaf keeps the type of a leaf, and the number of digits of a number.
func (s *sentinels) leaf(v any, f form, d *dice) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return v
		}
		return f.text(s, v, d)
	case bool:
		// There are only two: all are turned in the first variant, and some in each of the others.
		return v != (s.variant == 1 || d.upTo(2) == 0)
	case int:
		return int(otherInt(int64(v), f, d))
	case int64:
		return otherInt(v, f, d)
	case float64:
		return otherFloat(v, f, d)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return otherInt(n, f, d)
		}
		return json.Number(otherDigits(v.String(), d))
	}
	return v
}

func otherDigits(number string, d *dice) string {
	a := alphabetOf("")
	a.keeps = func(rune) bool { return true }
	mantissa, exponent, has := strings.Cut(strings.ToLower(number), "e")
	out := a.replace(strings.TrimPrefix(mantissa, "-"), d)
	if strings.HasPrefix(mantissa, "-") {
		out = "-" + out
	}
	if has {
		out += "e" + exponent
	}
	return out
}

func otherInt(n int64, f form, d *dice) int64 {
	if f.whole {
		for range 20 {
			if other, err := strconv.ParseInt(otherDigits(strconv.FormatInt(n, 10), d), 10, 64); err == nil {
				return other
			}
		}
	}
	step := int64(1 + d.upTo(3))
	if n > math.MaxInt64-step {
		return n - step
	}
	return n + step
}

func otherFloat(n float64, f form, d *dice) float64 {
	if f.whole {
		if other, err := strconv.ParseFloat(otherDigits(strconv.FormatFloat(n, 'f', -1, 64), d), 64); err == nil {
			return other
		}
	}
	return n + float64(1+d.upTo(3))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

// brace finds in what is shown the secrets themselves, and the parts of them that no rendering has changed. It is a second line: what
// the comparison of the renderings misses, since a sentinel shares a part with its secret, it must not miss too.
type brace struct {
	public *publicText
	// whole are secrets in lower case, as they are and encoded.
	whole []string
	// parts are runs of minPart bytes of secrets in lower case.
	parts map[string]bool
}

const (
	// minPart is the length of a part of a secret that tells something.
	minPart = 4
	// minWhole is the length from which a secret is searched for as a whole. A shorter one may be any word.
	minWhole = 6
)

func newBrace(public *publicText, leaves []secretLeaf, p *perturbation) *brace {
	b := &brace{public: public, parts: map[string]bool{}}
	given := make([]map[string]string, len(p.given))
	for i, values := range p.given {
		given[i] = map[string]string{}
		redact.MapLeaves(values, "", func(path string, leaf any) any {
			given[i][path] = strings.ToLower(textOf(leaf))
			return leaf
		})
	}
	for _, leaf := range leaves {
		if _, isBool := leaf.value.(bool); isBool {
			continue
		}
		secret := textOf(leaf.value)
		for _, text := range encodings(secret) {
			if len(secret) >= minWhole && !public.has(text) {
				b.whole = append(b.whole, strings.ToLower(text))
			}
		}
		lower := strings.ToLower(secret)
		for i := range len(lower) - minPart + 1 {
			part := lower[i : i+minPart]
			if (p.untouched(leaf) || b.kept(part, leaf, given)) && strings.TrimSpace(part) != "" && !strings.Contains(public.lower, part) {
				b.parts[part] = true
			}
		}
	}
	slices.Sort(b.whole)
	b.whole = slices.Compact(b.whole)
	return b
}

// kept reports a part of a leaf that is in all of its sentinels too.
func (b *brace) kept(part string, leaf secretLeaf, given []map[string]string) bool {
	for _, sentinels := range given {
		if text, ok := sentinels[leaf.path]; !ok || !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func encodings(secret string) []string {
	raw := []byte(secret)
	return []string{secret, base64.RawStdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), hex.EncodeToString(raw)}
}

// finds reports a secret, or a part of one, in a text.
func (b *brace) finds(text string) bool {
	if b == nil {
		return false
	}
	lower := strings.ToLower(text)
	if slices.ContainsFunc(b.whole, func(secret string) bool { return strings.Contains(lower, secret) }) {
		return true
	}
	if len(b.parts) == 0 {
		return false
	}
	for i := range len(lower) - minPart + 1 {
		if b.parts[lower[i:i+minPart]] {
			return true
		}
	}
	return false
}

// mask masks the leaves in which something is found, and each map with a key in which it is.
func (b *brace) mask(v any) any {
	if b == nil {
		return v
	}
	return redact.MaskWhere(v, b.finds, func(leaf any) bool {
		if text, ok := leaf.(string); ok {
			return text != object.MaskSecret && text != object.MaskRevision && b.finds(text)
		}
		return b.finds(textOf(leaf))
	})
}

// textOf is how templates print a value.
func textOf(v any) string {
	if f, ok := v.(float64); ok {
		return redact.FloatText(f)
	}
	return fmt.Sprint(v)
}

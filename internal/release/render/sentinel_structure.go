// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

var (
	address = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	escape  = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	mapping = regexp.MustCompile(`(?m)^\s*(?:- )?[^\s:#][^:\n]*:(?:\s|$)`)
)

// structured keeps what a parser needs: of JSON and YAML the syntax, of a URL its separators, of base64 the encoding. What is between
// them is replaced as a whole, keys included.
func (s *sentinels) structured(secret string, d *dice) string {
	trimmed := strings.TrimSpace(secret)
	switch {
	case strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "["):
		if v, ok := s.parsed(secret, json.Unmarshal, d); ok {
			if text, err := json.Marshal(v); err == nil {
				return string(text)
			}
		}
	case address.MatchString(secret):
		return s.url(secret, d)
	case mapping.MatchString(secret):
		unmarshal := func(text []byte, into any) error { return yaml.Unmarshal(text, into) }
		if v, ok := s.parsed(secret, unmarshal, d); ok {
			if text, err := yaml.Marshal(v); err == nil {
				return string(text)
			}
		}
	case len(secret) >= 8 && len(secret)%4 == 0:
		decoded, err := base64.StdEncoding.DecodeString(secret)
		switch {
		case err != nil:
		case utf8.Valid(decoded):
			return base64.StdEncoding.EncodeToString([]byte(s.structured(string(decoded), d)))
		default:
			for i := range decoded {
				decoded[i] ^= byte(1 + d.upTo(255))
			}
			return base64.StdEncoding.EncodeToString(decoded)
		}
	}
	return everyCharacter.text(s, secret, d)
}

// parsed replaces the leaves and keys of a document that is a map or a list.
func (s *sentinels) parsed(text string, unmarshal func([]byte, any) error, d *dice) (any, bool) {
	var v any
	if unmarshal([]byte(text), &v) != nil {
		return nil, false
	}
	switch v.(type) {
	case map[string]any, []any:
	default:
		return nil, false
	}
	below := &sentinels{public: s.public, variant: s.variant, keys: true, changes: map[string]change{}}
	redact.MapLeaves(v, "", func(path string, leaf any) any {
		below.changes[path] = change{form: form{(*sentinels).structured, true}}
		return leaf
	})
	// The same keys are other ones in each leaf that holds such a document.
	return reseeded(below, v, d), true
}

// reseeded replaces the leaves of v with numbers that begin with d.
func reseeded(s *sentinels, v any, d *dice) any {
	s.variant += d.upTo(1<<30) + 1
	return s.tree(v, "")
}

// url replaces all but the separators. An escaped character stays an escaped character.
func (s *sentinels) url(secret string, d *dice) string {
	a := alphabetOf("")
	a.keeps = func(r rune) bool { return strings.ContainsRune(":/@?&=#[]%", r) }
	var out strings.Builder
	for secret != "" {
		i := escape.FindStringIndex(secret)
		if i == nil {
			out.WriteString(a.replace(secret, d))
			break
		}
		out.WriteString(a.replace(secret[:i[0]], d))
		out.WriteByte('%')
		out.WriteByte(d.otherThan(secret[i[0]+1], "234567"))
		out.WriteByte(d.otherThan(secret[i[0]+2], "123456789"))
		secret = secret[i[1]:]
	}
	return out.String()
}

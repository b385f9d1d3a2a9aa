// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// A sentinel replaces a secret leaf in a rendering. It differs from the secret at every letter and digit, so that also a
// substring of it shows, and it has the secret's type, length and, in the first shape, its form, so that templates which take
// it apart (b64dec, fromJson, int, urlParse, a regular expression) still render. Equal secrets have equal sentinels.

// shape makes a sentinel of a string; shift distinguishes two sentinels of one secret and is 1 or 2.
type shape func(secret string, shift int) string

// shapes in the order in which they are used.
var shapes = []shape{sameForm, sameCharacters, onlyLetters, onlyDigits}

// withSentinels returns a copy of secrets in which each chosen leaf (nil: each) is a sentinel.
func withSentinels(secrets map[string]any, form shape, shift int, chosen func(path string) bool) map[string]any {
	out, _ := redact.MapLeaves(secrets, "", func(path string, leaf any) any {
		if chosen != nil && !chosen(path) {
			return leaf
		}
		return sentinel(leaf, form, shift)
	}).(map[string]any)
	return out
}

// sentinel is what replaces a leaf. Null stays, since it deletes a key, and an empty string hides nothing.
func sentinel(leaf any, form shape, shift int) any {
	switch v := leaf.(type) {
	case string:
		return form(v, shift)
	case bool:
		// There are only two: the second sentinel is the value itself.
		return v != (shift == 1)
	case int:
		return v + shift
	case int64:
		return v + int64(shift)
	case float64:
		return v + float64(shift)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n + int64(shift)
		}
		f, err := v.Float64()
		if err != nil {
			return v // no number: nothing can be made of it
		}
		return f + float64(shift)
	default:
		return leaf
	}
}

var (
	onlyHex     = regexp.MustCompile(`^(?:[0-9a-f]{8,}|[0-9A-F]{8,})$`)
	alphaNumber = regexp.MustCompile(`[A-Za-z0-9]`)
)

// sameForm keeps what is around the secret: JSON, PEM armour, or base64 of text.
func sameForm(secret string, shift int) string {
	trimmed := strings.TrimSpace(secret)
	switch {
	case strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "["):
		var v any
		if json.Unmarshal([]byte(secret), &v) != nil {
			break
		}
		text, err := json.Marshal(redact.MapLeaves(v, "", func(_ string, leaf any) any { return sentinel(leaf, sameCharacters, shift) }))
		if err == nil {
			return string(text)
		}
	case strings.Contains(secret, "-----BEGIN "):
		lines := strings.Split(secret, "\n")
		for i, line := range lines {
			if !strings.HasPrefix(strings.TrimSpace(line), "-----") {
				lines[i] = sameCharacters(line, shift)
			}
		}
		return strings.Join(lines, "\n")
	case len(secret) >= 8 && len(secret)%4 == 0:
		decoded, err := base64.StdEncoding.DecodeString(secret)
		if err == nil && utf8.Valid(decoded) && !strings.ContainsFunc(string(decoded),
			func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
			return base64.StdEncoding.EncodeToString([]byte(sameForm(string(decoded), shift)))
		}
	}
	return sameCharacters(secret, shift)
}

// sameCharacters moves each letter and digit along within its kind, so that lengths, separators and most formats stay.
func sameCharacters(secret string, shift int) string {
	if !alphaNumber.MatchString(secret) {
		return onlyLetters(secret, shift)
	}
	letters := byte(26)
	if onlyHex.MatchString(secret) {
		letters = 6
	}
	out := []byte(secret)
	step := byte(shift * 2)
	for i, c := range out {
		switch {
		case c >= 'a' && c < 'a'+letters:
			out[i] = 'a' + (c-'a'+step)%letters
		case c >= 'A' && c < 'A'+letters:
			out[i] = 'A' + (c-'A'+step)%letters
		case c == '0' && i == 0:
			out[i] = '0' + step
		case c >= '1' && c <= '9' && i == 0:
			// A number does not begin with 0.
			out[i] = '1' + (c-'1'+step)%9
		case c >= '0' && c <= '9':
			out[i] = '0' + (c-'0'+step)%10
		}
	}
	return string(out)
}

func onlyLetters(secret string, shift int) string {
	return eachCharacter(secret, shift, "abcdefghijklmnopqrstuvwxyz")
}

func onlyDigits(secret string, shift int) string {
	return eachCharacter(secret, shift, "123456789")
}

// eachCharacter writes a character of alphabet, other than the secret's, for each byte of it.
func eachCharacter(secret string, shift int, alphabet string) string {
	out := make([]byte, len(secret))
	for i := range out {
		n := (int(secret[i]) + i*7 + shift*2) % len(alphabet)
		for alphabet[n] == secret[i] {
			n = (n + 3) % len(alphabet)
		}
		out[i] = alphabet[n]
	}
	return string(out)
}

// mergeSecrets is what the chart is given when change is applied to the secret values.
func mergeSecrets(spec Spec, change func(map[string]any) map[string]any) map[string]any {
	return values.Merge(spec.Values, change(spec.Sensitive), change(spec.WriteOnly))
}

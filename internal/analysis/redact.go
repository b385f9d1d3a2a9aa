// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// longestEvidence is the limit for text of another program, in bytes.
	longestEvidence = 300
	// shortestGuess is the length from which a value that may be a secret is treated as one: a header or a query.
	shortestGuess = 6
	// shortestMasked is the length from which a secret can be cut out of a text so that the rest stays readable.
	shortestMasked = 4
)

// redactor removes secrets from texts of other programs: an error page may repeat the request.
type redactor struct {
	secrets []string
}

func newRedactor(secrets ...string) redactor {
	var r redactor
	for _, s := range secrets {
		if s == "" {
			continue
		}
		r.secrets = append(r.secrets, s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	// The longest first, since one may be part of another.
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) })
	r.secrets = slices.Compact(r.secrets)
	return r
}

// guesses are the values that may be secrets: those that are long enough, also after the scheme of an Authorization header.
func guesses(values []string) []string {
	var found []string
	for _, value := range values {
		if _, token, ok := strings.Cut(value, " "); ok && len(token) >= shortestGuess {
			found = append(found, token)
		}
		if len(value) >= shortestGuess {
			found = append(found, value)
		}
	}
	return found
}

// text is s in one line, cut to a length that fits evidence, without secrets.
func (r redactor) text(s string) string {
	for _, secret := range r.secrets {
		if !strings.Contains(s, secret) {
			continue
		}
		if len(secret) < shortestMasked {
			return "(the text holds a credential and is left out)"
		}
		s = strings.ReplaceAll(s, secret, "(credential)")
	}
	return oneLine(s)
}

// oneLine joins lines and cuts long text.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= longestEvidence {
		return s
	}
	cut := longestEvidence
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package redact takes secrets out of texts and objects before they are shown.
package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

const (
	// minSecret is the length from which a secret is replaced wherever it appears. Shorter secrets, down to minToken, are
	// replaced only as whole words: replacing every "1" makes a text unreadable and hides nothing.
	minSecret = 5
	minToken  = 2
)

// Secrets finds known secrets in texts: errors, answers of the API server, logs. A nil Secrets finds nothing. After Complete it
// is safe for concurrent use.
type Secrets struct {
	forms    map[string]bool
	replacer *strings.Replacer
	words    *regexp.Regexp
}

// New returns the Secrets that finds the leaves of the given values: as they are, in base64, in hex, escaped for URLs, JSON and
// Go, and each longer line of them.
func New(secrets ...map[string]any) *Secrets {
	s := &Secrets{}
	for _, values := range secrets {
		s.Add(values)
	}
	s.Complete()
	return s
}

// Add adds the leaves of v. Booleans hide nothing.
func (s *Secrets) Add(v any) {
	MapLeaves(v, "", func(_ string, leaf any) any {
		switch leaf := leaf.(type) {
		case nil, bool:
		case float64:
			s.AddText(FloatText(leaf))
		default:
			s.AddText(fmt.Sprint(leaf))
		}
		return leaf
	})
}

// FloatText is how a number from a configuration is written.
func FloatText(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Join adds what other finds. Complete makes it effective.
func (s *Secrets) Join(other *Secrets) {
	if other == nil {
		return
	}
	if s.forms == nil {
		s.forms = map[string]bool{}
	}
	maps.Copy(s.forms, other.forms)
}

// AddText adds one secret. Complete makes it effective.
func (s *Secrets) AddText(secret string) {
	if s.forms == nil {
		s.forms = map[string]bool{}
	}
	for _, form := range secretForms(secret) {
		s.forms[form] = true
	}
}

// AddObject adds the data of a v1 Secret, encoded and decoded; other objects add nothing.
func (s *Secrets) AddObject(o map[string]any) {
	if o["kind"] != "Secret" || o["apiVersion"] != "v1" {
		return
	}
	s.Add(o["stringData"])
	s.Add(o["data"])
	encoded, _ := o["data"].(map[string]any)
	for _, v := range encoded {
		text, _ := v.(string)
		if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
			s.AddText(string(decoded))
		}
	}
}

// Complete makes what was added effective. Longer forms come first, or a secret that begins like another one would leave the
// other's end behind.
func (s *Secrets) Complete() {
	var long, short []string
	for form := range s.forms {
		switch {
		case len(form) >= minSecret:
			long = append(long, form)
		case len(form) >= minToken && form != "true" && form != "null" && utf8.ValidString(form):
			short = append(short, regexp.QuoteMeta(form))
		}
	}
	slices.SortFunc(long, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	s.replacer, s.words = nil, nil
	if len(long) > 0 {
		pairs := make([]string, 0, 2*len(long))
		for _, form := range long {
			pairs = append(pairs, form, object.MaskSecret)
		}
		s.replacer = strings.NewReplacer(pairs...)
	}
	if len(short) > 0 {
		slices.Sort(short)
		s.words = regexp.MustCompile(`\b(?:` + strings.Join(short, "|") + `)\b`)
	}
}

// secretForms are the ways in which a secret is usually written.
func secretForms(secret string) []string {
	if len(secret) < minSecret {
		return []string{secret}
	}
	raw := []byte(secret)
	forms := []string{
		secret,
		strings.TrimSpace(secret),
		base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw),
		hex.EncodeToString(raw),
		url.QueryEscape(secret),
		url.PathEscape(secret),
		strings.Trim(strconv.Quote(secret), `"`),
	}
	if text, err := json.Marshal(secret); err == nil {
		forms = append(forms, strings.Trim(string(text), `"`))
	}
	if strings.Contains(secret, "\n") {
		// Logs and errors break texts at line ends.
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); len(line) >= minSecret {
				forms = append(forms, line)
			}
		}
	}
	return forms
}

// Text returns a text with every secret in it replaced by object.MaskSecret.
func (s *Secrets) Text(text string) string {
	if s == nil {
		return text
	}
	if s.replacer != nil {
		text = s.replacer.Replace(text)
	}
	if s.words != nil {
		text = s.words.ReplaceAllLiteralString(text, object.MaskSecret)
	}
	return text
}

// Empty reports that nothing was added.
func (s *Secrets) Empty() bool { return len(s.forms) == 0 }

// Finds reports a secret in a text.
func (s *Secrets) Finds(text string) bool { return s.Text(text) != text }

// digestLike is a leaf that may be a digest of something secret: 32 or more hex digits, 32 bytes and more in base64, or a
// password hash.
var digestLike = regexp.MustCompile(`^(?:[0-9a-fA-F]{32,}|[A-Za-z0-9+/_-]{43,}={0,2}|\$[0-9a-z]+\$.+)$`)

// Mask masks every leaf in which a secret is found, and what looks like a digest. It is the last resort for a
// secret for which no sentinel renders, and cannot see a secret that a template has changed in another way.
func (s *Secrets) Mask(v any) any {
	return MaskWhere(v, s.Finds, func(leaf any) bool {
		if text, ok := leaf.(string); ok {
			return s.Finds(text) || digestLike.MatchString(text)
		}
		return s.Finds(fmt.Sprint(leaf))
	})
}

// MaskWhere copies maps and lists, with the mask in place of each text or number that leaf reports, and of each map with a key that key
// reports.
func MaskWhere(v any, key func(string) bool, leaf func(any) bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, child := range v {
			if key(k) {
				return object.MaskSecret
			}
			out[k] = MaskWhere(child, key, leaf)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = MaskWhere(child, key, leaf)
		}
		return out
	case bool, nil:
	default:
		if leaf(v) {
			return object.MaskSecret
		}
	}
	return v
}

// MapLeaves copies maps and lists and puts the result of change in place of each leaf.
func MapLeaves(v any, path string, change func(path string, leaf any) any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, child := range v {
			out[k] = MapLeaves(child, path+"\x00"+k, change)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = MapLeaves(child, path+"\x00"+strconv.Itoa(i), change)
		}
		return out
	default:
		return change(path, v)
	}
}

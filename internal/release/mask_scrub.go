// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

const (
	// minSecret is the length from which on a secret is replaced wherever it stands. Shorter ones, down to minToken, are
	// replaced only as words of their own: replacing every "1" leaves no text to read, and hides nothing.
	minSecret = 5
	minToken  = 2
)

// scrubber takes secrets out of texts that were not rendered: errors, answers of the API server, logs. Nil scrubs nothing.
// It is complete after order, and then safe for concurrent use.
type scrubber struct {
	forms    map[string]bool
	replacer *strings.Replacer
	words    *regexp.Regexp
}

// newScrubber knows the leaves of the given values: as they are, in base64, in hex, escaped for URLs, JSON and Go, and each
// longer line of them.
func newScrubber(secrets ...map[string]any) *scrubber {
	s := &scrubber{}
	for _, values := range secrets {
		s.add(values)
	}
	s.order()
	return s
}

// add adds the leaves of v. Booleans hide nothing.
func (s *scrubber) add(v any) {
	mapLeaves(v, "", func(_ string, leaf any) any {
		switch leaf := leaf.(type) {
		case nil, bool:
		case float64:
			s.addText(strconv.FormatFloat(leaf, 'f', -1, 64))
		default:
			s.addText(fmt.Sprint(leaf))
		}
		return leaf
	})
}

func (s *scrubber) addText(secret string) {
	if s.forms == nil {
		s.forms = map[string]bool{}
	}
	for _, form := range secretForms(secret) {
		s.forms[form] = true
	}
}

// addObject adds the data of a v1 Secret, encoded and decoded; other objects add nothing.
func (s *scrubber) addObject(o map[string]any) {
	if o["kind"] != "Secret" || o["apiVersion"] != "v1" {
		return
	}
	s.add(o["stringData"])
	s.add(o["data"])
	encoded, _ := o["data"].(map[string]any)
	for _, v := range encoded {
		text, _ := v.(string)
		if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
			s.addText(string(decoded))
		}
	}
}

// order makes what was added effective. Longer forms come first, or a secret that begins like another one would leave the
// other's end behind.
func (s *scrubber) order() {
	var long, short []string
	for form := range s.forms {
		switch {
		case len(form) >= minSecret:
			long = append(long, form)
		case len(form) >= minToken && form != "true" && form != "null":
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

// text returns a text with every secret in it replaced by object.MaskSecret.
func (s *scrubber) text(text string) string {
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

func (s *scrubber) finds(text string) bool { return s.text(text) != text }

// renderError returns an error of rendering without secrets in it. Typed errors keep their type.
func (s *scrubber) renderError(err error) error {
	var template *TemplateError
	var schema *SchemaError
	var parse *object.ParseError
	var duplicate *object.DuplicateKeyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &template):
		clean := *template
		clean.Cause = s.text(clean.Cause)
		return &clean
	case errors.As(err, &schema):
		clean := *schema
		clean.Problems = s.text(clean.Problems)
		return &clean
	case errors.As(err, &parse):
		clean := *parse
		clean.Reason = s.text(clean.Reason)
		return &clean
	case errors.As(err, &duplicate):
		clean := *duplicate
		clean.Key = object.Key(s.text(string(clean.Key)))
		return &clean
	case s.finds(err.Error()):
		return errors.New(s.text(err.Error()))
	}
	return err
}

// digestLike is a leaf that may be a digest of something secret: 32 or more hex digits, 32 bytes and more in base64, or a
// password hash.
var digestLike = regexp.MustCompile(`^(?:[0-9a-fA-F]{32,}|[A-Za-z0-9+/_-]{43,}={0,2}|\$[0-9a-z]+\$.+)$`)

// maskOccurrences masks every leaf in which a secret is found, and what looks like a digest. It is the last resort for a
// secret for which no sentinel renders, and cannot see a secret that a template has changed in another way.
func (s *scrubber) maskOccurrences(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, child := range v {
			if s.finds(k) {
				return object.MaskSecret
			}
			out[k] = s.maskOccurrences(child)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = s.maskOccurrences(child)
		}
		return out
	case string:
		if s.finds(v) || digestLike.MatchString(v) {
			return object.MaskSecret
		}
	case bool, nil:
	default:
		if s.finds(fmt.Sprint(v)) {
			return object.MaskSecret
		}
	}
	return v
}

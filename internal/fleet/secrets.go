// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

var (
	// secretWords in the last key of a path mean that the value is a secret.
	secretWords = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credential|` +
		`client_?secret|dsn)s?$`)
	// notSecretWords mean that the value only refers to a secret, or describes one.
	notSecretWords = regexp.MustCompile(`(?i)(name|ref|path|file|key_?id|arn|mount|enabled|provider|type|class|policy|ttl|seconds|` +
		`days|length)$|existing`)
	// secretForms match texts that are secrets under any key.
	secretForms = regexp.MustCompile(`AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----|gh[pousr]_[A-Za-z0-9]{30,}|` +
		`github_pat_[A-Za-z0-9_]{40,}|xox[abprs]-[A-Za-z0-9-]{10,}|glpat-[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.|` +
		`sk_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35}|[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s:@]+@`)
	// references point to a secret in another place.
	references = regexp.MustCompile(`^(arn:|vault:|secret/|ref\+|projects/|\$\{|\{\{|<)`)
	tokenForm  = regexp.MustCompile(`^[A-Za-z0-9+/_=-]{24,}$`)
)

// secretsIn finds literals that look like secrets. The findings do not show them.
func (f *Fleet) secretsIn(root *values.Node) []Finding {
	var findings []Finding
	ignored := patterns(f.Secrets.Ignore)
	root.Scalars(func(path []string, leaf *values.Node) {
		text, ok := leaf.Scalar().(string)
		if !ok || matchesAny(ignored, path) || !f.looksSecret(path, text) {
			return
		}
		key := values.JoinPath(path)
		findings = append(findings, Finding{Rule: RuleSecret, Severity: SeverityError, Key: key, Origin: leaf.Origin(),
			Text: fmt.Sprintf("%s looks like a secret (%d characters, not shown); keep it in a secret store and name it here, or list the path "+
				"under secrets.ignore of %s", key, len([]rune(text)), FileName)})
	})
	return findings
}

// looksSecret decides by the key and the form of a text.
func (f *Fleet) looksSecret(path []string, text string) bool {
	if secretForms.MatchString(text) {
		return true
	}
	if text == "" || references.MatchString(text) || len(path) == 0 {
		return false
	}
	name := ""
	for _, step := range path {
		if !strings.HasPrefix(step, "[") {
			name = step
		}
	}
	if secretWords.MatchString(name) && !notSecretWords.MatchString(name) {
		return true
	}
	return tokenForm.MatchString(text) && !strings.ContainsAny(text, "/") && entropy(text) > 4.2 && strings.ContainsAny(text, "0123456789") &&
		text != strings.ToLower(text)
}

// entropy in bits per character: about 4 for hexadecimal digits, 6 for base64, below 4 for words of this length.
func entropy(text string) float64 {
	counts := map[rune]int{}
	n := 0
	for _, r := range text {
		counts[r]++
		n++
	}
	var bits float64
	for _, count := range counts {
		share := float64(count) / float64(n)
		bits -= share * math.Log2(share)
	}
	return bits
}

// Shown is a value for people on one line: secrets are masked, long texts are cut.
func (f *Fleet) Shown(path string, n *values.Node) string {
	if n == nil {
		return "(none)"
	}
	secret := false
	base := steps(path)
	n.Scalars(func(below []string, leaf *values.Node) {
		if text, ok := leaf.Scalar().(string); ok && f.looksSecret(append(base[:len(base):len(base)], below...), text) {
			secret = true
		}
	})
	if secret {
		return "(masked)"
	}
	text := n.OneLine()
	if runes := []rune(text); len(runes) > 120 {
		text = string(runes[:119]) + "…"
	}
	return text
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// shortestSecret is the length from which a value is masked wherever it occurs. Replacing shorter ones leaves no text to read.
const shortestSecret = 4

// masker takes the values that a Job was given from Secrets out of what its program printed.
type masker struct {
	secrets []string
	// problem is why the values are not known. What the program printed must not be shown then.
	problem error
}

// newMasker reads the values of the database's URL and of the Secrets that the Jobs refer to. One that is gone hides nothing: the pod
// could not start without it.
func newMasker(ctx context.Context, j *jobs) *masker {
	m := &masker{}
	m.add(j.options.DatabaseURL)
	keys := slices.Clone(j.secretKeys)
	if j.options.Credentials != nil {
		keys = append(keys, *j.options.Credentials)
	}
	for _, key := range keys {
		secret, err := j.op.Reads.CoreV1().Secrets(j.target.Handle.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		switch {
		case cluster.IsNotFound(err):
		case err != nil:
			m.problem = fmt.Errorf("reading the Secret %s: %w", key.Name, err)
		default:
			m.add(string(secret.Data[key.Key]))
		}
	}
	return m
}

// setting finds passwords in connection strings of keywords (host=db password='x y'), in query strings, and in lines of environment
// variables.
var setting = regexp.MustCompile(`(?i)\b\w*(?:password|passwd|pwd|secret|token)\w*\s*=\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\s&;,]+)`)

var escaped = regexp.MustCompile(`\\(.)`)

// settings are the passwords in a value, without quotes and escapes.
func settings(value string) []string {
	var out []string
	for _, match := range setting.FindAllStringSubmatch(value, -1) {
		text := match[1]
		if quote := text[0]; len(text) > 1 && (quote == '\'' || quote == '"') {
			text = escaped.ReplaceAllString(text[1:len(text)-1], "$1")
		}
		out = append(out, text)
		if plain, err := url.QueryUnescape(text); err == nil && plain != text {
			out = append(out, plain)
		}
	}
	return out
}

// add adds a value in the forms in which programs print it; of a URL or another connection string, its password, too.
func (m *masker) add(value string) {
	values := []string{value, strings.TrimSpace(value)}
	values = append(values, strings.Split(value, "\n")...)
	values = append(values, settings(value)...)
	if parsed, err := url.Parse(strings.TrimPrefix(strings.TrimSpace(value), "jdbc:")); err == nil && parsed.User != nil {
		if password, ok := parsed.User.Password(); ok {
			_, raw, _ := strings.Cut(parsed.User.String(), ":")
			values = append(values, password, raw)
		}
	}
	for _, v := range values {
		if len(v) >= shortestSecret {
			m.secrets = append(m.secrets, v, url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v)))
		}
	}
	// The longest first, since one may be part of another.
	slices.SortFunc(m.secrets, func(a, b string) int { return len(b) - len(a) })
}

func (m *masker) text(s string) string {
	for _, secret := range m.secrets {
		s = strings.ReplaceAll(s, secret, "(secret)")
	}
	return s
}

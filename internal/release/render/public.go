// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/purity"
)

// publicText is what anyone may read: the chart's files, its defaults, and the values that are not secret.
type publicText struct {
	text, lower string
	// words are parts of the strings in templates, the longest first.
	words []string
	marks map[rune]bool
}

var (
	stringLiteral = regexp.MustCompile("\"(?:[^\"\\\\\n]|\\\\.)*\"|`[^`]*`")
	plainWord     = regexp.MustCompile(`[A-Za-z0-9_-]{2,}`)
)

func newPublicText(in Input, ch *helmchart.Chart, values map[string]any) *publicText {
	var b strings.Builder
	literals := map[string]bool{}
	p := &publicText{marks: map[rune]bool{}}
	add := func(text string) {
		b.WriteString(text)
		b.WriteByte('\n')
	}
	addTree := func(v any) {
		if text, err := yaml.Marshal(v); err == nil {
			add(string(text))
		}
		purity.EachString(v, add)
	}
	purity.VisitCharts(ch, func(c *helmchart.Chart) {
		for _, files := range [][]*helmchart.File{c.Templates, c.Files} {
			for _, f := range files {
				if f != nil && utf8.Valid(f.Data) {
					add(string(f.Data))
				}
			}
		}
		for _, t := range c.Templates {
			if t != nil {
				p.literals(string(t.Data), literals)
			}
		}
		addTree(c.Metadata)
		add(string(c.Schema))
		// The values of a processed chart hold those of its parent: only the files have the defaults.
		for _, f := range c.Raw {
			if f != nil && f.Name == "values.yaml" {
				add(string(f.Data))
				p.literals(string(f.Data), literals)
			}
		}
	})
	addTree(values)
	add(in.ReleaseName)
	add(in.Namespace)
	p.text = b.String()
	p.lower = strings.ToLower(p.text)
	for word := range literals {
		p.words = append(p.words, word)
	}
	slices.SortFunc(p.words, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return p
}

// literals collects what a template compares values with.
func (p *publicText) literals(text string, words map[string]bool) {
	for _, literal := range stringLiteral.FindAllString(text, -1) {
		literal = literal[1 : len(literal)-1]
		if len(literal) >= 2 && len(literal) <= 80 {
			words[literal] = true
		}
		for _, word := range plainWord.FindAllString(literal, -1) {
			words[word] = true
		}
		if len(literal) <= 3 && !strings.ContainsFunc(literal, isWordCharacter) {
			for _, r := range literal {
				p.marks[r] = true
			}
		}
	}
}

func isWordCharacter(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// separator reports a character at which the chart may split a text.
func (p *publicText) separator(r rune) bool { return p.marks[r] }

// knows reports a key that is public, since a public text has it as a word.
func (p *publicText) knows(key string) bool {
	for from := 0; from < len(p.text); {
		i := strings.Index(p.text[from:], key)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(p.text[:i])
		after, _ := utf8.DecodeRuneInString(p.text[i+len(key):])
		if !isWordCharacter(before) && !isWordCharacter(after) {
			return true
		}
		from = i + 1
	}
	return false
}

// has reports a text that stands in a public text, in any case.
func (p *publicText) has(text string) bool { return strings.Contains(p.lower, strings.ToLower(text)) }

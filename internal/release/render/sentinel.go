// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A sentinel replaces a secret leaf in a rendering. It differs from the secret in every letter, digit and punctuation mark, also if
// case does not count, so that any part of the secret that shows in a leaf makes the leaf differ. Length in bytes and white space
// stay. Where a chart does not accept such a text, another form of the sentinel keeps more of the secret.

// dice is a repeatable source of numbers. Each leaf and each variant has its own.
type dice struct{ state uint64 }

func newDice(variant int, of ...string) *dice {
	h := fnv.New64a()
	for _, text := range append(of, strconv.Itoa(variant)) {
		_, _ = h.Write([]byte(text)) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	return &dice{h.Sum64()}
}

// upTo is a number from 0 to n-1.
func (d *dice) upTo(n int) int {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n)) //nolint:gosec // smaller than n
}

const (
	lowerLetters = "abcdefghijklmnopqrstuvwxyz"
	upperLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	allDigits    = "0123456789"
	// plainMarks are punctuation that neither YAML nor a URL takes for its own.
	plainMarks = "_.+"
)

var (
	onlyHex    = regexp.MustCompile(`^(?:[0-9a-f]{8,}|[0-9A-F]{8,})$`)
	onlyBase32 = regexp.MustCompile(`^[A-Z2-7]{8,}=*$`)
)

// alphabet is what the characters of a secret are replaced with.
type alphabet struct {
	lower, upper, digits string
	// keeps reports the punctuation that stays.
	keeps func(r rune) bool
}

func alphabetOf(secret string) alphabet {
	switch {
	case onlyBase32.MatchString(secret):
		return alphabet{lowerLetters, upperLetters, "234567", nil}
	case onlyHex.MatchString(secret):
		return alphabet{"abcdef", "ABCDEF", allDigits, nil}
	}
	return alphabet{lowerLetters, upperLetters, allDigits, nil}
}

// replace writes another character of the same kind for each character of a secret.
func (a alphabet) replace(secret string, d *dice) string {
	var out strings.Builder
	for i := 0; i < len(secret); {
		r, size := utf8.DecodeRuneInString(secret[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			out.WriteByte(secret[i] ^ byte(1+d.upTo(7)))
		case r >= 'a' && r <= 'z':
			out.WriteByte(d.otherThan(byte(r), a.lower))
		case r >= 'A' && r <= 'Z':
			out.WriteByte(d.otherThan(byte(r), a.upper))
		case r >= '0' && r <= '9' && i == 0 && strings.Contains(a.digits, "1"):
			// A number does not begin with 0.
			out.WriteByte(d.otherThan(byte(r), a.digits[1:]))
		case r >= '0' && r <= '9':
			out.WriteByte(d.otherThan(byte(r), a.digits))
		case unicode.IsSpace(r) || unicode.IsControl(r) || a.keeps != nil && a.keeps(r):
			out.WriteRune(r)
		case r < utf8.RuneSelf:
			out.WriteByte(d.otherThan(byte(r), plainMarks))
		default:
			out.WriteRune(d.neighbor(r))
		}
		i += size
	}
	return out.String()
}

// otherThan is a character of choice that is not c.
func (d *dice) otherThan(c byte, choice string) byte {
	n := d.upTo(len(choice))
	if choice[n] == c {
		n = (n + 1 + d.upTo(len(choice)-1)) % len(choice)
	}
	return choice[n]
}

// neighbor is a character of the same script and kind, with as many bytes, that is not r in another case.
func (d *dice) neighbor(r rune) rune {
	start := 2 + d.upTo(20)
	for i := range 120 {
		step := rune(start + i/2)
		if i%2 == 1 {
			step = -step
		}
		c := r + step
		if utf8.RuneLen(c) == utf8.RuneLen(r) && sameKind(c, r) && !sameLetter(c, r) {
			return c
		}
	}
	return r ^ 1
}

func sameKind(a, b rune) bool {
	return unicode.IsLetter(a) == unicode.IsLetter(b) && unicode.IsUpper(a) == unicode.IsUpper(b) &&
		unicode.IsDigit(a) == unicode.IsDigit(b) && unicode.IsGraphic(a) && !unicode.IsSpace(a)
}

func sameLetter(a, b rune) bool {
	return strings.EqualFold(string(a), string(b)) || unicode.ToLower(a) == unicode.ToLower(b) || unicode.ToUpper(a) == unicode.ToUpper(b)
}

// fromAlphabet writes a character of choice, other than the secret's, for each byte of it.
func fromAlphabet(secret, choice string, d *dice) string {
	out := make([]byte, len(secret))
	for i := range out {
		out[i] = choice[d.upTo(len(choice))]
		for sameLetter(rune(out[i]), rune(secret[i])) {
			out[i] = choice[d.upTo(len(choice))]
		}
	}
	return string(out)
}

// A form makes a sentinel of a text. The whole forms change all that could be secret. Of the others, something is left.
type form struct {
	text  func(s *sentinels, secret string, d *dice) string
	whole bool
}

var (
	everyCharacter = form{func(s *sentinels, secret string, d *dice) string { return alphabetOf(secret).replace(secret, d) }, true}
	longer         = form{func(s *sentinels, secret string, d *dice) string {
		more := 1 + d.upTo(3)
		return everyCharacter.text(s, secret+secret[:min(more, len(secret))], d)
	}, true}
	withStructure = form{(*sentinels).structured, true}
	// The separators are those that the chart names. Together they make no part of the secret.
	withSeparators = form{func(s *sentinels, secret string, d *dice) string {
		a := alphabetOf(secret)
		a.keeps = func(r rune) bool { return s.public.separator(r) }
		return a.replace(secret, d)
	}, true}
	lettersOnly = form{func(_ *sentinels, secret string, d *dice) string { return fromAlphabet(secret, lowerLetters, d) }, true}
	digitsOnly  = form{func(_ *sentinels, secret string, d *dice) string { return fromAlphabet(secret, "123456789", d) }, true}

	withMarks = form{func(_ *sentinels, secret string, d *dice) string {
		a := alphabetOf(secret)
		a.keeps = func(rune) bool { return true }
		return a.replace(secret, d)
	}, false}
	withWords = form{(*sentinels).words, false}
)

// wholeForms and partForms are in the order in which they are tried.
var (
	wholeForms = []form{everyCharacter, withStructure, withSeparators, lettersOnly, digitsOnly}
	partForms  = []form{withMarks, withWords}
)

// words keeps what the chart's own texts hold, such as a prefix that it asks for.
func (s *sentinels) words(secret string, d *dice) string {
	kept := make([]bool, len(secret))
	for _, word := range s.public.words {
		for from := 0; ; {
			i := strings.Index(secret[from:], word)
			if i < 0 {
				break
			}
			for j := range len(word) {
				kept[from+i+j] = true
			}
			from += i + 1
		}
	}
	changed := withMarks.text(s, secret, d)
	if len(changed) != len(secret) || !slices.Contains(kept, true) {
		return changed
	}
	out := []byte(changed)
	for i, keep := range kept {
		if keep {
			out[i] = secret[i]
		}
	}
	return string(out)
}

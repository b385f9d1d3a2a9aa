// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package explain holds the form in which domain errors describe themselves: what happened, what was observed, and what to do.
// The provider turns each part into a paragraph of a diagnostic.
package explain

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Explainer is an error that describes itself in three parts. Any of them may be empty.
type Explainer interface {
	error
	Explain() (happened, observed, advice string)
}

// Error is an explained error that no caller distinguishes by its type. A case that callers handle differently has a type of its own.
type Error struct {
	// Happened is one sentence: what could not be done, and to which object.
	Happened string
	// Observed is what was found, with values.
	Observed string
	// Advice is what the user does next.
	Advice string
	// Cause is the error underneath; it may be nil. Its text belongs into Observed where a user needs it.
	Cause error
}

// Explain returns the three parts.
func (e *Error) Explain() (happened, observed, advice string) {
	return e.Happened, e.Observed, e.Advice
}

// Error returns the parts as one text, see Text.
func (e *Error) Error() string { return Text(e.Explain()) }

// Unwrap returns Cause.
func (e *Error) Unwrap() error { return e.Cause }

// Text joins the parts that are not empty: on one line where each of them is one line, else a part a line.
func Text(parts ...string) string {
	separator := " "
	var present []string
	for _, part := range parts {
		if part == "" {
			continue
		}
		present = append(present, part)
		if strings.Contains(part, "\n") {
			separator = "\n"
		}
	}
	return strings.Join(present, separator)
}

// As returns the first error in err's chain that explains itself.
func As(err error) (Explainer, bool) {
	return errors.AsType[Explainer](err)
}

// Capitalize returns text with its first letter as a capital, for an object's name at the beginning of a sentence.
func Capitalize(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package explain

import "strings"

// Library returns the text of an error without what libraries put around it: Helm's heading of a list of one error, blank lines.
func Library(err error) string {
	text := strings.TrimSpace(err.Error())
	// Helm collects the errors of several objects in a list, also where there is one.
	text = strings.TrimPrefix(text, "1 error occurred:\n\t* ")
	return strings.TrimSpace(strings.ReplaceAll(text, "\n\n", "\n"))
}

// Shorten cuts a text to limit bytes, and ends the cut text with an ellipsis.
func Shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// Sentence ends a text with a full stop.
func Sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}

// FirstLine returns the first line of a text.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// WithoutAdvice returns what an error says, without its advice.
func WithoutAdvice(err error) string {
	explained, ok := err.(Explainer)
	if !ok {
		return err.Error()
	}
	happened, observed, _ := explained.Explain()
	return Text(happened, observed)
}

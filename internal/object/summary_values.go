// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxShown is how many characters of a value are shown.
const maxShown = 60

// changeOf is the text after a path: " a → b", " set to b", " removed (was a)", " changed (sensitive value)".
func changeOf(e edit) string {
	mask := maskIn(e.before)
	if mask == "" {
		mask = maskIn(e.after)
	}
	switch {
	case e.before == (absent{}):
		return " set to " + show(e.after)
	case e.after == (absent{}) && mask != "":
		return " removed"
	case e.after == (absent{}):
		return " removed (was " + show(e.before) + ")"
	case mask != "":
		return " changed " + mask
	}
	if before, after, ok := bothTexts(e); ok && (strings.Contains(before, "\n") || strings.Contains(after, "\n")) {
		return textChange(before, after)
	}
	if before, after, ok := bothLists(e); ok {
		return " order " + show(before) + " → " + show(after)
	}
	before, after := show(e.before), show(e.after)
	if before == after {
		// The difference is after the cut.
		return " changed, after the first " + strconv.Itoa(maxShown) + " characters"
	}
	return " " + before + " → " + after
}

func maskIn(v any) string {
	if text, ok := v.(string); ok && (text == MaskSecret || text == MaskRevision) {
		return text
	}
	return ""
}

func bothTexts(e edit) (before, after string, ok bool) {
	before, isText := e.before.(string)
	after, alsoText := e.after.(string)
	return before, after, isText && alsoText
}

// bothLists are lists with the same elements: compare finds everything else inside of them.
func bothLists(e edit) (before, after []any, ok bool) {
	before, isList := e.before.([]any)
	after, alsoList := e.after.([]any)
	return before, after, isList && alsoList
}

// textChange describes a change of a multi-line text, such as a file in a ConfigMap, by the lines between the equal lines at its
// beginning and end.
func textChange(before, after string) string {
	left, right := strings.Split(before, "\n"), strings.Split(after, "\n")
	first := 0
	for first < len(left) && first < len(right) && left[first] == right[first] {
		first++
	}
	left, right = left[first:], right[first:]
	for len(left) > 0 && len(right) > 0 && left[len(left)-1] == right[len(right)-1] {
		left, right = left[:len(left)-1], right[:len(right)-1]
	}
	line := first + 1
	switch {
	case len(left) == 1 && len(right) == 1:
		was, now := show(strings.TrimSpace(left[0])), show(strings.TrimSpace(right[0]))
		if was == now {
			return fmt.Sprintf(" changed in line %d", line)
		}
		return fmt.Sprintf(" line %d: %s → %s", line, was, now)
	case len(left) == 0:
		return fmt.Sprintf(": %s added at line %d", lineCount(len(right)), line)
	case len(right) == 0:
		return fmt.Sprintf(": %s removed at line %d", lineCount(len(left)), line)
	}
	return fmt.Sprintf(" changed from line %d on: %s replaced by %s", line, lineCount(len(left)), lineCount(len(right)))
}

func lineCount(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", n)
}

var (
	plainText  = regexp.MustCompile(`^[A-Za-z0-9_./:@%+-]+$`)
	looksTyped = regexp.MustCompile(`^([-+]?[0-9._]+([eE][-+]?[0-9]+)?|true|false|null|yes|no|on|off)$`)
)

// show prints a value: numbers and words as they are, ambiguous texts in quotes, maps and
// lists as JSON. Long values are cut.
func show(v any) string {
	if mask := maskIn(v); mask != "" {
		return mask
	}
	if text, ok := v.(string); ok {
		if plainText.MatchString(text) && !looksTyped.MatchString(text) {
			return cut(text)
		}
		runes := []rune(text)
		if len(runes) > maxShown {
			return strconv.Quote(string(runes[:maxShown])) + "…"
		}
		return strconv.Quote(text)
	}
	text, err := Canonical(v)
	if err != nil {
		return fmt.Sprintf("(a %T)", v)
	}
	return cut(text)
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}

// imageChange shows only the tags if the repository is the same.
func imageChange(e edit) string {
	before, after, ok := bothTexts(e)
	if !ok || maskIn(before) != "" || maskIn(after) != "" {
		return changeOf(e)
	}
	left, right := splitImage(before), splitImage(after)
	if left.repository != right.repository {
		return " " + left.String() + " → " + right.String()
	}
	if left.tag == right.tag && left.tag != "" {
		return " " + left.tag + ": digest " + shortDigest(left.digest) + " → " + shortDigest(right.digest)
	}
	left.repository, right.repository = "", ""
	return " " + left.String() + " → " + right.String()
}

type image struct{ repository, tag, digest string }

func splitImage(text string) image {
	var i image
	i.repository, i.digest, _ = strings.Cut(text, "@")
	if colon := strings.LastIndex(i.repository, ":"); colon > strings.LastIndex(i.repository, "/") {
		i.repository, i.tag = i.repository[:colon], i.repository[colon+1:]
	}
	return i
}

func (i image) String() string {
	parts := slices.DeleteFunc([]string{i.repository, i.tag}, func(s string) bool { return s == "" })
	out := strings.Join(parts, ":")
	switch {
	case i.digest != "" && out != "":
		return out + "@" + shortDigest(i.digest)
	case i.digest != "":
		return shortDigest(i.digest)
	case out == "":
		return "(no tag)"
	}
	return out
}

// shortDigest keeps enough of a digest to distinguish two.
func shortDigest(digest string) string {
	const shown = 12
	algorithm, hash, ok := strings.Cut(digest, ":")
	switch {
	case digest == "":
		return "(none)"
	case ok && len(hash) > shown:
		return algorithm + ":" + hash[:shown] + "…"
	}
	return digest
}

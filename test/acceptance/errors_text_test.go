// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"regexp"
	"strings"
	"time"
)

// errorsOf is what a failed apply reported: its errors, with wrapped lines joined.
func errorsOf(text string) string {
	_, errors, found := strings.Cut("\n"+text, "\nError: ")
	if !found {
		return "there is no error in it:\n" + text
	}
	var out []string
	for _, line := range strings.Split("Error: "+errors, "\n") {
		last := len(out) - 1
		// Terraform wraps at 78 columns, but no line that begins with a space.
		if last >= 0 && line != "" && out[last] != "" && line[0] != ' ' && out[last][0] != ' ' {
			out[last] += " " + line
			continue
		}
		out = append(out, line)
	}
	return strings.TrimSpace(strings.Join(out, "\n")) + "\n"
}

// sampleLine is a row of the table of samples that an analysis ended with.
var sampleLine = regexp.MustCompile(`(?m)^\s*(\d\d:\d\d:\d\d)  \S+  \w+`)

// lastSample is when the sample that completed the rule was taken, from the table that the error shows.
func lastSample(text string) (time.Time, bool) {
	rows := sampleLine.FindAllStringSubmatch(text, -1)
	if len(rows) == 0 {
		return time.Time{}, false
	}
	at, err := time.Parse(time.DateOnly+" "+time.TimeOnly, time.Now().UTC().Format(time.DateOnly)+" "+rows[len(rows)-1][1])
	return at, err == nil
}

// timeless replaces what differs from run to run in an explanation, and shows lines that then are equal once. Which events a
// cluster reported by a moment and what a container logged until then are such things.
func timeless(c tenant, text string) string {
	for _, r := range []struct{ pattern, with string }{
		{regexp.QuoteMeta(c.client), "client-a"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "<date>"},
		{`\d\d:\d\d:\d\d(\.\d+)?`, "<time>"},
		{`\b(\d+h)?(\d+m)?\d+(\.\d+)?(m?s)\b`, "<duration>"},
		{`\b\d+\.\d+%`, "<percent>"},
		{`\b0\.\d+\b`, "<value>"},
		{`\b\d+\.\d{3,}\b`, "<value>"},
		{`<value> to <value>`, "<value>"}, // or all samples were equal
		{`data-collection-service-[0-9a-f]{8,10}-[0-9a-z]{5}`, "data-collection-service-<pod>"},
		{`[0-9a-f]{64}`, "<sha256>"},
		{`\b198\.1[89]\.\d+\.\d+`, "<ip>"},
		{`\d+ (of \d+ )?(samples|requests|more)`, "<n> ${2}"},
		{`\(\d+ times\)`, "(<n> times)"},
		// How many of the pods are not ready any more at a moment.
		{`\d+ of \d+ pods updated(, \d+ available)?(, \d+ old still there)?`, "<n> of <n> pods updated"},
		{`(?m)^  event <time> .*$`, "  <event>"},
		{`(?m)^    \{"time":.*$`, "    <log>"},
		{`(0 pods are ready, 1 are needed; )?pod \S+-<pod> is not ready(; pod \S+-<pod> is not ready)*`, "<pods> are not ready"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if n := len(out); n > 0 && line != "" && out[n-1] == line {
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

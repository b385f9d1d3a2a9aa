// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"strings"
)

// Report summarizes a change for its reviewers.
type Report struct {
	Environments int `json:"environments"`
	// Affected environments have different values than before.
	Affected []string `json:"affected"`
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	// ByStage and ByWave count environments that are affected or added.
	ByStage []Share `json:"by_stage"`
	ByWave  []Share `json:"by_wave"`
	// Changes, those with the most environments first.
	Changes  []KeyChange `json:"changes"`
	Findings []Finding   `json:"findings"`
}

// Share is the number of affected environments in a group.
type Share struct {
	Name     string `json:"name"`
	Affected int    `json:"affected"`
	Of       int    `json:"of"`
}

// Headline is "17 of 72 environments change, 3 of them prod".
func (r *Report) Headline(lastStage string) string {
	n := len(r.Affected) + len(r.Added)
	if n == 0 && len(r.Removed) == 0 {
		return fmt.Sprintf("None of %s changes", plural(r.Environments, "environment"))
	}
	text := fmt.Sprintf("%d of %s change", n, plural(r.Environments, "environment"))
	for _, share := range r.ByStage {
		if share.Name == lastStage {
			text += fmt.Sprintf(", %d of them %s", share.Affected, lastStage)
		}
	}
	if len(r.Added) > 0 {
		text += fmt.Sprintf("; %d are new", len(r.Added))
	}
	if len(r.Removed) > 0 {
		text += fmt.Sprintf("; %d are gone", len(r.Removed))
	}
	return text
}

// Markdown is the report for a pull request, at most limit bytes long (0: no limit; a comment on GitHub holds 65536). What does not fit
// is only counted.
func (r *Report) Markdown(lastStage string, limit int) string {
	m := &markdown{limit: limit}
	m.line("### %s", r.Headline(lastStage))
	m.line("")
	if len(r.Affected)+len(r.Added) > 0 {
		m.line("| wave | environments that change |")
		m.line("|---|---|")
		for _, share := range r.ByWave {
			m.line("| %s | %d of %d |", share.Name, share.Affected, share.Of)
		}
		m.line("")
	}
	if len(r.Changes) > 0 {
		rows := make([]string, len(r.Changes))
		for i, change := range r.Changes {
			source := ""
			if change.After != nil {
				source = code(change.Source.String())
			}
			rows[i] = fmt.Sprintf("| %s | %s | %s | %s | %s |", code(change.Key), cell(change.Before), cell(change.After),
				Listed(change.Environments), source)
		}
		m.rows([]string{"| key | before | after | environments | set in |", "|---|---|---|---|---|"}, rows, "changes")
	}
	for _, group := range []struct {
		title string
		names []string
	}{{"New", r.Added}, {"Gone: what runs there is not deleted by this", r.Removed}} {
		if len(group.names) > 0 {
			m.line("%s: %s.", group.title, Listed(group.names))
			m.line("")
		}
	}
	for _, group := range []struct{ severity, title string }{
		{SeverityError, "Errors"}, {SeverityWarning, "Warnings"}, {SeverityNote, "Notes"},
	} {
		var rows []string
		for _, finding := range r.Findings {
			if finding.Severity == group.severity {
				rows = append(rows, fmt.Sprintf("- %s %s (%s)", code(finding.String()), escaped(finding.Text), Listed(finding.Environments)))
			}
		}
		if len(rows) == 0 {
			continue
		}
		if group.severity == SeverityNote {
			m.rows([]string{fmt.Sprintf("<details><summary>%s</summary>", plural(len(rows), "note")), ""}, rows, "notes")
			m.line("</details>")
			continue
		}
		m.rows([]string{"#### " + group.title, ""}, rows, strings.ToLower(group.title))
	}
	return m.text.String()
}

// markdown collects lines up to a limit.
type markdown struct {
	text  strings.Builder
	limit int
}

// reserve is kept for the lines that close cut sections.
const reserve = 400

func (m *markdown) line(format string, arguments ...any) {
	text := format
	if len(arguments) > 0 {
		text = fmt.Sprintf(format, arguments...)
	}
	if m.limit == 0 || m.text.Len()+len(text)+1 <= m.limit {
		m.text.WriteString(text + "\n")
	}
}

func (m *markdown) rows(head, rows []string, what string) {
	for _, line := range head {
		m.line("%s", line)
	}
	for i, row := range rows {
		if m.limit > 0 && m.text.Len()+len(row)+reserve > m.limit {
			m.line("")
			m.line("… and %d more %s; `slipway report --json` has them all.", len(rows)-i, what)
			break
		}
		m.line("%s", row)
	}
	m.line("")
}

func cell(text *string) string {
	if text == nil {
		return ""
	}
	return code(*text)
}

// code puts a text, which may contain backticks, into backticks, and keeps it within its table cell.
func code(text string) string {
	if text == "" {
		return ""
	}
	text = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(text)
	if strings.Contains(text, "`") {
		return "``` " + text + " ```"
	}
	return "`" + text + "`"
}

// escaped prevents a sentence from being read as Markdown or HTML, or from mentioning people.
func escaped(text string) string {
	return strings.NewReplacer("\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`, "[", `\[`, "`", "\\`", "@", "@\u200b", "#", `\#`).Replace(text)
}

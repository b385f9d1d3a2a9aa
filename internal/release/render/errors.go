// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// TemplateError says that a chart does not render. It holds no secret.
type TemplateError struct {
	Chart string
	// File is the template that failed, for example "data-collection-service/templates/_helpers.tpl"; empty where Helm does
	// not say. Line and Column count from 1; 0 is unknown.
	File   string
	Line   int
	Column int
	// Cause is what the template engine said, without its trail of positions.
	Cause string
	// Via are the templates through which File was included, outermost first, as "file:line".
	Via []string
}

func (e *TemplateError) Error() string {
	text := fmt.Sprintf("chart %s does not render", e.Chart)
	if e.File != "" {
		text += ": " + e.File
		if e.Line > 0 {
			text += ":" + strconv.Itoa(e.Line)
		}
		if e.Column > 0 {
			text += ":" + strconv.Itoa(e.Column)
		}
	}
	text += ": " + e.Cause
	if len(e.Via) > 0 {
		text += " (included from " + strings.Join(e.Via, ", ") + ")"
	}
	return text
}

// SchemaError says that the values break values.schema.json of the chart or a subchart. It holds no secret.
type SchemaError struct {
	Chart string
	// Problems is one line for each broken rule.
	Problems string
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("the values do not meet the schema of chart %s:\n%s", e.Chart, e.Problems)
}

var (
	// Positions as text/template and Helm print them: "template: file:line:column: " and "error at (file:line:column): ".
	templatePosition = regexp.MustCompile(`template: ([^\s:]+):(\d+)(?::(\d+))?: `)
	helmPosition     = regexp.MustCompile(`^(?:execution|parse) error (?:at|in) \(([^\s:)]+)(?::(\d+))?(?::(\d+))?\): `)
	yamlPosition     = regexp.MustCompile(`^YAML parse error on (\S+): `)
	yamlLine         = regexp.MustCompile(`yaml: line (\d+): `)
	executing        = regexp.MustCompile(`(?s)^executing "[^"]*" at <.*?>: `)
	errorCalling     = regexp.MustCompile(`(?s)^error calling [A-Za-z]+: `)
)

// templateError takes an error of Helm's engine apart. Of a chain of includes the innermost position is where the fault is.
func templateError(chart string, err error) *TemplateError {
	text := err.Error()
	out := &TemplateError{Chart: chart, Cause: text}
	if m := helmPosition.FindStringSubmatch(text); m != nil {
		out.File, out.Line, out.Column = m[1], number(m[2]), number(m[3])
		out.Cause = text[len(m[0]):]
		return out
	}
	if m := yamlPosition.FindStringSubmatch(text); m != nil {
		out.File = m[1]
		out.Cause = "the rendered text is not YAML: " + strings.TrimPrefix(text[len(m[0]):], "error converting YAML to JSON: ")
		// The line is one of the rendered document, not of the template.
		out.Cause = yamlLine.ReplaceAllString(out.Cause, "line $1 of the rendered document: ")
		return out
	}
	positions := templatePosition.FindAllStringSubmatchIndex(text, -1)
	if len(positions) == 0 {
		return out
	}
	for i, p := range positions {
		file, line := text[p[2]:p[3]], text[p[4]:p[5]]
		if i < len(positions)-1 {
			out.Via = append(out.Via, file+":"+line)
			continue
		}
		out.File, out.Line = file, number(line)
		if p[6] >= 0 {
			out.Column = number(text[p[6]:p[7]])
		}
		out.Cause = innermost(text[p[1]:])
	}
	return out
}

// innermost drops the engine's "executing … at <…>: error calling …: " in front of the cause.
func innermost(cause string) string {
	for {
		rest := executing.ReplaceAllString(cause, "")
		rest = errorCalling.ReplaceAllString(rest, "")
		if rest == cause || rest == "" {
			return strings.TrimSuffix(strings.TrimPrefix(cause, "HELM_ERR_START"), "HELM_ERR_END")
		}
		cause = rest
	}
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0 // no position in the text
	}
	return n
}

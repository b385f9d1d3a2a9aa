// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Problem is something that an API server or a proxy would refuse, found without asking one.
type Problem struct {
	// Field is the one of the configuration: "weight", "headers[1].name", "host".
	Field string
	// Text is a sentence, and says what would be right.
	Text string
}

// InvalidError carries the problems of what was to be written. Nothing was.
type InvalidError struct {
	Object   string
	Problems []Problem
}

// Explain returns the three parts of the error.
func (e *InvalidError) Explain() (happened, observed, advice string) {
	lines := make([]string, 0, len(e.Problems))
	for _, problem := range e.Problems {
		lines = append(lines, problem.Field+": "+problem.Text)
	}
	return fmt.Sprintf("%s cannot be divided as asked.", explain.Capitalize(e.Object)), strings.Join(lines, "\n"),
		"Correct it. Nothing was changed."
}

func (e *InvalidError) Error() string { return explain.Text(e.Explain()) }

var (
	// headerName is a token of HTTP, which both the Gateway API and Envoy demand; Istio matches header names in lower case only.
	headerName = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")
	// headerValue is what a header may contain: no control characters, no space at either end.
	headerValue = regexp.MustCompile(`^[!-~\x{80}-\x{10FFFF}]([\t -~\x{80}-\x{10FFFF}]*[!-~\x{80}-\x{10FFFF}])?$`)
	gatewayName = regexp.MustCompile(`^[a-z0-9.-]+/(\*|[a-z0-9.-]+)$`)
)

const (
	mostHeaderName  = 256
	mostHeaderValue = 4096
	// mostHeaders keeps one header route within the bounds of the Gateway API.
	mostHeaders = 16
)

// pseudoHeaders are matched by fields of their own, and hop-by-hop headers do not reach a route.
var pseudoHeaders = map[string]string{
	"host":              "Match the host by the route's hosts.",
	"connection":        "Proxies remove it.",
	"transfer-encoding": "Proxies remove it.",
	"upgrade":           "Proxies remove it.",
	"te":                "Proxies remove it.",
}

// ValidateSplit looks for what Istio or the Gateway API would refuse, or take for something else.
func ValidateSplit(split Split) []Problem {
	return append(ValidateWeight("weight", split.Weight), ValidateHeaders("headers", split.Headers)...)
}

// ValidateWeight checks one percentage.
func ValidateWeight(field string, weight int) []Problem {
	if weight < 0 || weight > 100 {
		return []Problem{{Field: field, Text: fmt.Sprintf("%d is no percentage; it must be between 0 and 100.", weight)}}
	}
	return nil
}

// ValidateHeaders checks header matches.
func ValidateHeaders(field string, headers []HeaderMatch) []Problem {
	var out []Problem
	if len(headers) > mostHeaders {
		out = append(out, Problem{Field: field, Text: fmt.Sprintf("There are %d; at most %d are possible.", len(headers), mostHeaders)})
	}
	seen := map[HeaderMatch]bool{}
	for i, header := range headers {
		at := fmt.Sprintf("%s[%d]", field, i)
		if text := nameProblem(header.Name); text != "" {
			out = append(out, Problem{Field: at + ".name", Text: text})
		}
		if text := valueProblem(header.Value); text != "" {
			out = append(out, Problem{Field: at + ".value", Text: text})
		}
		if seen[header] {
			out = append(out, Problem{Field: at, Text: "The same match is given twice."})
		}
		seen[header] = true
	}
	return out
}

func nameProblem(name string) string {
	switch {
	case name == "":
		return "The name is empty."
	case len(name) > mostHeaderName:
		return fmt.Sprintf("The name has %d characters; at most %d are possible.", len(name), mostHeaderName)
	case strings.HasPrefix(name, ":"):
		return fmt.Sprintf("%q is no header; Istio matches method, path and authority by fields of their own.", name)
	case name != strings.ToLower(name):
		return fmt.Sprintf("%q has capitals, and Istio matches header names in lower case only: write %q. It matches the header in any spelling.",
			name, strings.ToLower(name))
	case !headerName.MatchString(name):
		return fmt.Sprintf("%q is no name of an HTTP header: letters, digits and !#$%%&'*+-.^_`|~ are possible.", name)
	}
	if reason, special := pseudoHeaders[name]; special {
		return fmt.Sprintf("Header %q cannot choose a track. %s", name, reason)
	}
	return ""
}

func valueProblem(value string) string {
	switch {
	case value == "":
		return "The value is empty; Istio would take that for any value."
	case len(value) > mostHeaderValue:
		return fmt.Sprintf("The value has %d bytes; at most %d are possible.", len(value), mostHeaderValue)
	case !headerValue.MatchString(value):
		return "The value has a control character, or a space at its beginning or end, which no request can have there."
	}
	return ""
}

func objectName(field, name string) []Problem {
	if name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
		return []Problem{{Field: field, Text: fmt.Sprintf("%q is no name of a Kubernetes object.", name)}}
	}
	return nil
}

func hostProblems(field, host string) []Problem {
	name := strings.TrimPrefix(host, "*.")
	switch {
	case host == "":
		return []Problem{{Field: field, Text: "The host is empty."}}
	case field == "host" && name != host:
		return []Problem{{Field: field, Text: fmt.Sprintf("%q matches many hosts; the tracks are behind one Service.", host)}}
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return []Problem{{Field: field, Text: fmt.Sprintf("%q is no name of a host.", host)}}
	}
	return nil
}

// namedTrack is a track with its field of the configuration.
type namedTrack struct {
	field string
	Track
}

func tracks(forStable, forCanary Track) []namedTrack {
	return []namedTrack{{"stable", forStable}, {"canary", forCanary}}
}

// trackLabels checks that labels distinguish the tracks.
func trackLabels(forStable, forCanary Track) []Problem {
	var out []Problem
	for _, track := range tracks(forStable, forCanary) {
		if len(track.Labels) == 0 {
			out = append(out, Problem{Field: track.field + ".labels", Text: "A subset without labels has the pods of both tracks."})
		}
		for _, key := range slices.Sorted(maps.Keys(track.Labels)) {
			value := track.Labels[key]
			if len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
				out = append(out, Problem{Field: track.field + ".labels", Text: fmt.Sprintf("%q: %q is no label.", key, value)})
			}
		}
	}
	for key, value := range forStable.Labels {
		if another, both := forCanary.Labels[key]; both && another != value {
			return out
		}
	}
	if len(out) == 0 {
		out = append(out, Problem{Field: "canary.labels", Text: "No label has another value than in stable: one pod could be in both tracks."})
	}
	return out
}

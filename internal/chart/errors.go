// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// NotFoundError is a chart or version that does not exist.
type NotFoundError struct {
	Place   string // path, or repository address
	Name    string // empty for a path
	Version string // empty for a path, and if the chart itself is missing
	// Available are versions of the chart, newest first, or the nearest names if the chart is missing. It may be empty (an OCI
	// registry may not list them) and is limited to a few.
	Available []string
}

func (e *NotFoundError) Error() string {
	switch {
	case e.Name == "":
		text := fmt.Sprintf("there is no chart at %s: neither a folder with Chart.yaml nor a .tgz file", e.Place)
		if len(e.Available) > 0 {
			text += "; the nearest name there is " + e.Available[0]
		}
		return text
	case e.Version == "":
		text := fmt.Sprintf("%s has no chart %q", e.Place, e.Name)
		if len(e.Available) > 0 {
			text += "; the nearest names there are " + strings.Join(e.Available, ", ")
		}
		return text
	case len(e.Available) > 0:
		return fmt.Sprintf("%s has no version %s of chart %s; there are %s", e.Place, e.Version, e.Name, strings.Join(e.Available, ", "))
	}
	return fmt.Sprintf("%s has no version %s of chart %s, or does not have the chart", e.Place, e.Version, e.Name)
}

// SourceError is a Source that is not valid.
type SourceError struct {
	Field  string // "path", "repository", "name" or "version"
	Reason string
}

func (e *SourceError) Error() string { return fmt.Sprintf("chart.%s: %s", e.Field, e.Reason) }

// UnreachableError is a repository that did not answer, or whose answer is not a chart.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot fetch from %s: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// UnauthorizedError is a repository that refuses the credential, or requires one.
type UnauthorizedError struct {
	Address string
	// HadCredential is true for a refused credential, false for a missing one.
	HadCredential bool
}

func (e *UnauthorizedError) Error() string {
	if e.HadCredential {
		return fmt.Sprintf("%s refuses the configured credential", e.Address)
	}
	return fmt.Sprintf("%s wants a credential, and none is configured for it", e.Address)
}

// DigestError is a chart with another content than requested: the tag was moved, the archive was replaced, or the folder was
// edited.
type DigestError struct {
	Place string
	Want  string
	Got   string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("the chart at %s has digest %s, not %s: its content was changed since", e.Place, e.Got, e.Want)
}

// InvalidError is a chart that is not valid.
type InvalidError struct {
	Chart  string // path or address
	File   string // inside the chart, empty if unknown
	Line   int    // counted from 1, 0 if unknown
	Reason string
	Err    error
}

func (e *InvalidError) Error() string {
	place := e.Chart
	if e.File != "" {
		place += ", " + e.File
	}
	if e.Line > 0 {
		place += fmt.Sprintf(", line %d", e.Line)
	}
	return fmt.Sprintf("broken chart %s: %s", place, e.Reason)
}

func (e *InvalidError) Unwrap() error { return e.Err }

var (
	helmFile     = regexp.MustCompile(`cannot load (Chart\.yaml|Chart\.lock|values\.yaml|requirements\.yaml|requirements\.lock): `)
	helmSubchart = regexp.MustCompile(`error unpacking (?:subchart )?(\S+) in \S+: `)
	yamlLine     = regexp.MustCompile(`(?:yaml: )?line ([0-9]+): ?`)
)

// invalid finds file and line in the error of Helm's loader.
func invalid(place string, err error) *InvalidError {
	out := &InvalidError{Chart: place, Reason: err.Error(), Err: err}
	var folder string
	for {
		found := helmSubchart.FindStringSubmatch(out.Reason)
		if found == nil {
			break
		}
		folder += "charts/" + found[1] + "/"
		out.Reason = strings.Replace(out.Reason, found[0], "", 1)
	}
	if found := helmFile.FindStringSubmatch(out.Reason); found != nil {
		out.File = found[1]
		out.Reason = strings.Replace(out.Reason, found[0], "", 1)
	} else if strings.Contains(out.Reason, "chart.metadata") || strings.Contains(out.Reason, "validation:") {
		out.File = "Chart.yaml"
	}
	if folder != "" {
		out.File = strings.TrimSuffix(folder+out.File, "/")
	}
	if found := yamlLine.FindStringSubmatch(out.Reason); found != nil {
		out.Line, _ = strconv.Atoi(found[1])
		out.Reason = strings.Replace(out.Reason, found[0], "", 1)
	}
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "yaml: "} {
		out.Reason = strings.TrimPrefix(out.Reason, prefix)
	}
	return out
}

func joinQuoted(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return strings.Join(quoted, ", ")
}

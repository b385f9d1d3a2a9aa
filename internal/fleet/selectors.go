// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// UnknownStageError is a selector over a stage that the fleet does not have.
type UnknownStageError struct {
	Selector Selector
	Stage    string
	Stages   []string
}

// Error names the stage and the nearest existing one.
func (e *UnknownStageError) Error() string {
	text := fmt.Sprintf("%q selects stage %s, and the fleet has no such stage", e.Selector.Text, e.Stage)
	if nearest := values.Nearest(e.Stage, e.Stages); nearest != "" {
		return text + fmt.Sprintf("; did you mean %s?", nearest)
	}
	return text + "; there are " + strings.Join(e.Stages, ", ")
}

// UnknownTagError is a selector over a tag that no environment has: misspelled, it would silently select nothing or, negated, everything.
type UnknownTagError struct {
	Selector Selector
	Tag      string
	// Known are the names that selectors of this fleet can use, sorted.
	Known []string
}

// Error names the tag and the nearest existing one.
func (e *UnknownTagError) Error() string {
	text := fmt.Sprintf("%q selects by %s, and no environment has such a tag", e.Selector.Text, e.Tag)
	if nearest := values.Nearest(e.Tag, e.Known); nearest != "" {
		return text + fmt.Sprintf("; did you mean %s?", nearest)
	}
	return text + "; there are " + strings.Join(e.Known, ", ")
}

// CheckSelector refuses a selector over a tag that no environment has, or over a stage that does not exist. Errors: *UnknownTagError,
// *UnknownStageError.
func (f *Fleet) CheckSelector(selector Selector) error {
	if selector.Selector == nil {
		return nil
	}
	known := map[string]bool{"client": true, "stage": true}
	for _, e := range f.Environments {
		for tag := range e.Tags {
			known[tag] = true
		}
	}
	requirements, _ := selector.Requirements()
	for _, requirement := range requirements {
		if !known[requirement.Key()] {
			return &UnknownTagError{Selector: selector, Tag: requirement.Key(), Known: slices.Sorted(maps.Keys(known))}
		}
		if requirement.Key() != "stage" {
			continue
		}
		for _, stage := range requirement.ValuesUnsorted() {
			if !slices.Contains(f.Stages, stage) {
				return &UnknownStageError{Selector: selector, Stage: stage, Stages: f.Stages}
			}
		}
	}
	return nil
}

// selectors finds selectors of the description over tags or stages that no environment has. They are not errors: a layer may
// exist before its first client.
func (f *Fleet) selectors() []Finding {
	var findings []Finding
	check := func(what string, selector Selector) {
		if err := f.CheckSelector(selector); err != nil {
			findings = append(findings, Finding{
				Rule: RuleSelector, Severity: SeverityWarning, Text: fmt.Sprintf("%s: %v", what, err),
				Origin: values.Origin{File: filepath.Join(f.Dir, FileName), Line: selector.line},
			})
		}
	}
	for _, layer := range f.Layers {
		check("layer "+layer.Name, layer.Select)
	}
	for _, required := range f.Required {
		check("required "+required.Path, required.Select)
	}
	for _, wave := range f.Waves {
		check("wave "+wave.Name, wave.Select)
	}
	return findings
}

// misspelledTags finds tags that only one client has and that look like misspellings of another tag. No selector would find the
// client's environments.
func (f *Fleet) misspelledTags() []Finding {
	clients := map[string]map[string]bool{} // by tag
	for _, e := range f.Environments {
		for tag := range e.Tags {
			if clients[tag] == nil {
				clients[tag] = map[string]bool{}
			}
			clients[tag][e.Client] = true
		}
	}
	names := slices.Sorted(maps.Keys(clients))
	var findings []Finding
	for _, e := range f.Environments {
		for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
			others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == tag || clients[name][e.Client] })
			nearest := values.Nearest(tag, others)
			if len(clients[tag]) > 1 || nearest == "" {
				continue
			}
			findings = append(findings, Finding{
				Rule: RuleTag, Severity: SeverityWarning, Origin: values.Origin{
					File: filepath.Join(f.Dir, e.Client, clientFileName),
				}, Environments: []string{e.Name()},
				Text: fmt.Sprintf("tag %s: no other client has it; did you mean %s?", tag, nearest),
			})
		}
	}
	return findings
}

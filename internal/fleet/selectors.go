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
	return f.checkSelector(selector, f.selectable())
}

// selectable are the names that selectors can use whatever tags there are.
func selectable() map[string]bool { return map[string]bool{"client": true, "stage": true} }

// selectable adds the tags of all environments.
func (f *Fleet) selectable() map[string]bool {
	known := selectable()
	for _, e := range f.Environments {
		for tag := range e.Tags {
			known[tag] = true
		}
	}
	return known
}

func (f *Fleet) checkSelector(selector Selector, known map[string]bool) error {
	if selector.Selector == nil {
		return nil
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
	known := f.selectable()
	check := func(what string, selector Selector) {
		if err := f.checkSelector(selector, known); err != nil {
			findings = append(findings, f.selectorFinding(selector, fmt.Sprintf("%s: %v", what, err)))
		}
	}
	for _, layer := range f.Layers {
		check("layer "+layer.Name, layer.Select)
	}
	for _, required := range f.Required {
		check("required "+required.Path, required.Select)
	}
	return append(findings, f.waveSelectors(known)...)
}

func (f *Fleet) selectorFinding(selector Selector, text string) Finding {
	return Finding{
		Rule: RuleSelector, Severity: SeverityWarning, Text: text,
		Origin: values.Origin{File: filepath.Join(f.Dir, FileName), Line: selector.line},
	}
}

// waveSelectors finds waves over tags that no environment has. If no wave but the last one selects by something known, a release
// reaches all environments at once.
func (f *Fleet) waveSelectors(known map[string]bool) []Finding {
	var findings []Finding
	for _, wave := range f.Waves {
		if err := f.checkSelector(wave.Select, known); err != nil {
			findings = append(findings, f.selectorFinding(wave.Select, fmt.Sprintf("wave %s: %v", wave.Name, err)))
		}
	}
	if n := len(findings); n > 0 && n >= len(f.Waves)-1 {
		for i := range findings {
			findings[i].Text += fmt.Sprintf("; a release reaches all environments together, in wave %s: set the tag in %s of the clients",
				f.Waves[len(f.Waves)-1].Name, clientFileName)
		}
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

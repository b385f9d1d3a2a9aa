// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"regexp"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
)

var (
	templateAction = regexp.MustCompile(`(?s)\{\{-?\s*(.*?)\s*-?\}\}`)
	valuesPath     = regexp.MustCompile(`\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)*)`)
	valuesIndex    = regexp.MustCompile(`index\s+[$\w]*\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)*)((?:\s+"[^"]+")+)`)
	quotedKey      = regexp.MustCompile(`"([^"]+)"`)
	// passesOn are the functions with which a template passes on a whole map: its keys are up to the user, or to a template that
	// cannot be analyzed.
	passesOn = regexp.MustCompile(`\b(toYaml|toJson|toPrettyJson|toRawJson|toToml|range|include|template|tpl|merge|mustMerge|mergeOverwrite|` +
		`mustMergeOverwrite|deepCopy|mustDeepCopy|dict|list|pick|omit|keys|values|get|hasKey|dig|set|concat|append|prepend)\b|:=|=`)
	bareDot = regexp.MustCompile(`(^|[\s(])\.($|[\s)|])`)
)

// addTemplates adds the paths that templates read. In doubt, a key is known: a value that is refused by mistake could
// not be set at all.
func addTemplates(root *key, templates []*helmchart.File) {
	for _, template := range templates {
		addActions(root, string(template.Data))
	}
}

func addActions(root *key, text string) {
	actions := templateAction.FindAllStringSubmatch(text, -1)
	for i, action := range actions {
		body := action[1]
		if strings.HasPrefix(body, "/*") {
			continue
		}
		open := passesOn.MatchString(body)
		if strings.HasPrefix(body, "with ") {
			open = open || passesDotOn(actions[i+1:])
		}
		for _, found := range valuesPath.FindAllStringSubmatch(body, -1) {
			at := root.at(pathParts(found[1]))
			at.open = at.open || open
		}
		for _, found := range valuesIndex.FindAllStringSubmatch(body, -1) {
			at := root.at(pathParts(found[1]))
			for _, name := range quotedKey.FindAllStringSubmatch(found[2], -1) {
				at = at.child(name[1])
			}
		}
	}
}

// withReach is the number of actions after a "with" that are analyzed.
const withReach = 4

// passesDotOn reports that one of the first actions in a block passes on the block's map.
func passesDotOn(actions [][]string) bool {
	for _, action := range actions[:min(withReach, len(actions))] {
		if action[1] == "end" {
			return false
		}
		if passesOn.MatchString(action[1]) && bareDot.MatchString(action[1]) {
			return true
		}
	}
	return false
}

func pathParts(dotted string) []string {
	if dotted == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(dotted, "."), ".")
}

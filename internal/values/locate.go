// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"bytes"
	"regexp"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
)

var unknownAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)

// locate finds the line of a mistake for which Helm's parser gives none; 0 if it is not found. That parser counts lines from 0
// and leaves 0 out.
func locate(content []byte, reason string) int {
	if anchor := unknownAnchor.FindStringSubmatch(reason); anchor != nil {
		before, _, found := bytes.Cut(content, []byte("*"+anchor[1]))
		if !found {
			return 0
		}
		return 1 + bytes.Count(before, []byte("\n"))
	}
	var wanted func(*yamlnode.Node) bool
	switch {
	case strings.Contains(reason, "excessive aliasing"):
		wanted = func(n *yamlnode.Node) bool { return n.Kind == yamlnode.AliasNode && holdsAlias(n.Alias) }
	case strings.Contains(reason, "a number that values cannot hold"):
		wanted = func(n *yamlnode.Node) bool {
			text := strings.ToLower(strings.TrimLeft(n.Value, "+-"))
			return n.Kind == yamlnode.ScalarNode && (text == ".inf" || text == ".nan")
		}
	case strings.HasPrefix(reason, "a key is "):
		wanted = nil
	default:
		return 1
	}
	var document yamlnode.Node
	if err := yamlnode.Unmarshal(content, &document); err != nil {
		return 0
	}
	if wanted == nil {
		return lineOfKey(&document)
	}
	return lineOf(&document, wanted)
}

// lineOfKey finds the first key that is not a string.
func lineOfKey(n *yamlnode.Node) int {
	for i, below := range n.Content {
		if n.Kind == yamlnode.MappingNode && i%2 == 0 && (below.Kind != yamlnode.ScalarNode || below.Tag == "!!null") {
			return below.Line
		}
		if line := lineOfKey(below); line > 0 {
			return line
		}
	}
	return 0
}

func lineOf(n *yamlnode.Node, wanted func(*yamlnode.Node) bool) int {
	if wanted(n) {
		return n.Line
	}
	for _, below := range n.Content {
		if line := lineOf(below, wanted); line > 0 {
			return line
		}
	}
	return 0
}

func holdsAlias(n *yamlnode.Node) bool {
	if n.Kind == yamlnode.AliasNode {
		return true
	}
	for _, below := range n.Content {
		if holdsAlias(below) {
			return true
		}
	}
	return false
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package purity

import (
	"slices"
	"text/template/parse"
)

// capabilities is what a field path asks of the cluster. The version can be rendered with other versions; of the API versions,
// only a question with a literal can (see capabilitiesCall).
func capabilities(fields []string) influence {
	i := slices.Index(fields, "Capabilities")
	if i < 0 {
		return influence{}
	}
	if i+1 < len(fields) && (fields[i+1] == "KubeVersion" || fields[i+1] == "HelmVersion") {
		return influence{Text: UsesCapabilities}
	}
	return influence{Text: UsesCapabilities | OpaqueCapabilities}
}

// functionName is the function that a command calls, "" for a field, a variable or a literal.
func functionName(c *parse.CommandNode) string {
	if len(c.Args) == 0 {
		return ""
	}
	if identifier, ok := c.Args[0].(*parse.IdentifierNode); ok {
		return identifier.Ident
	}
	return ""
}

func inspectStrings(n parse.Node, visit func(string)) {
	if literal, ok := n.(*parse.StringNode); ok {
		visit(literal.Text)
		return
	}
	inspect(n, func(child parse.Node) {
		command, ok := child.(*parse.CommandNode)
		if !ok {
			return
		}
		for _, arg := range command.Args {
			if literal, ok := arg.(*parse.StringNode); ok {
				visit(literal.Text)
			}
		}
	})
}

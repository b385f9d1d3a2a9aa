// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package purity

import (
	"slices"
	"strings"
	"text/template/parse"
)

// pipe is what the value of a pipeline depends on.
func (s *scope) pipe(p *parse.PipeNode, dot influence) influence {
	var v influence
	if p == nil {
		return v
	}
	for i, command := range p.Cmds {
		v = s.command(command, dot, v, i > 0)
	}
	return v
}

// command is what one call depends on; piped is its last argument where it has one from the pipeline.
func (s *scope) command(c *parse.CommandNode, dot, piped influence, hasPiped bool) influence {
	name := functionName(c)
	arguments := piped
	for i, arg := range c.Args {
		if i > 0 || name == "" {
			arguments = arguments.with(s.value(arg, dot))
		}
	}
	if name == "" {
		return s.capabilitiesCall(c, arguments)
	}
	v := arguments
	v.Text |= impureBit[name]
	switch {
	case orderedBy[name]:
		v.Text &^= orderBits
	case name == "include" && len(c.Args) > 1:
		v = v.with(s.call(s.includeNames(c.Args[1]), arguments))
	case name == "include" && hasPiped:
		v = v.with(s.call(s.a.matching(""), arguments))
	case name == "tpl":
		v = v.with(s.tpl(c, arguments))
	case writers[name] && len(c.Args) > 1:
		s.write(c.Args[1], v)
	}
	if digests[name] {
		v.set = 0
	}
	return v
}

// value is what one argument depends on.
func (s *scope) value(n parse.Node, dot influence) influence {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot.with(s.a.shared)
	case *parse.FieldNode:
		return dot.with(s.a.shared).with(capabilities(n.Ident))
	case *parse.VariableNode:
		v := s.variables[n.Ident[0]]
		if n.Ident[0] == "$" {
			v = s.root.with(s.a.shared)
		}
		return v.with(capabilities(n.Ident[1:]))
	case *parse.ChainNode:
		return s.value(n.Node, dot).with(capabilities(n.Field))
	case *parse.PipeNode:
		v := s.pipe(n, dot)
		s.assign(n, v)
		return v
	case *parse.IdentifierNode:
		return influence{Text: impureBit[n.Ident]}
	}
	return influence{}
}

// capabilitiesCall corrects a call of .Capabilities.APIVersions.Has with a literal: rendering with other API versions shows
// all that it can do.
func (s *scope) capabilitiesCall(c *parse.CommandNode, arguments influence) influence {
	var fields []string
	switch n := c.Args[0].(type) {
	case *parse.FieldNode:
		fields = n.Ident
	case *parse.VariableNode:
		fields = n.Ident
	case *parse.ChainNode:
		fields = n.Field
	default:
		return arguments
	}
	if len(c.Args) == 2 && slices.Contains(fields, "Capabilities") && fields[len(fields)-1] == "Has" {
		if _, literal := c.Args[1].(*parse.StringNode); literal {
			arguments.Text &^= OpaqueCapabilities
		}
	}
	return arguments
}

// capabilities is what a field path asks of the cluster. The version can be tried with other versions; of the API versions,
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

// includeNames are the templates that the first argument of include can name.
func (s *scope) includeNames(n parse.Node) []string {
	if literal, ok := n.(*parse.StringNode); ok {
		return []string{literal.Text}
	}
	last := ""
	inspectStrings(n, func(text string) { last = text })
	return s.a.matching(last)
}

// tpl is what executing a text as a template depends on: the text itself where it is literal, else any text that the
// chart's files and the values hold.
func (s *scope) tpl(c *parse.CommandNode, dot influence) influence {
	if len(c.Args) > 1 {
		if literal, ok := c.Args[1].(*parse.StringNode); ok {
			name := tplName + literal.Text
			if s.a.templates[name] == nil {
				if err := s.a.add(name, literal.Text); err != nil {
					return influence{} // cannot be executed
				}
			}
			return s.call([]string{name}, dot)
		}
		inspectStrings(c.Args[1], func(text string) {
			if strings.Contains(text, "{{") && !slices.Contains(s.a.tplTexts, text) {
				s.a.tplTexts = append(s.a.tplTexts, text)
				s.a.addTpl(text)
				s.a.changed = true
			}
		})
	}
	return s.call([]string{tplName}, dot)
}

// write notes that a function changed its first argument.
func (s *scope) write(target parse.Node, v influence) {
	if variable, ok := target.(*parse.VariableNode); ok && variable.Ident[0] != "$" {
		s.grow(variable.Ident[0], v)
		if !s.aliases[variable.Ident[0]] {
			return
		}
	}
	if p, ok := target.(*parse.PipeNode); ok && len(p.Cmds) > 0 && fresh[functionName(p.Cmds[len(p.Cmds)-1])] {
		return
	}
	// Only what changes on its own makes others change; a plain dependency on .Capabilities does too.
	s.share(influence{Text: v.Text})
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

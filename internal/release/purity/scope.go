// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package purity

import (
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
)

var (
	// documentStart is a line with which an object begins: its kind, or a document marker, in the first column.
	documentStart = regexp.MustCompile(`(?m)^(?:kind:|apiVersion:|---)`)
	// identityLine is the begun line of a field that decides an object's key. Containers and the like are indented deeper.
	identityLine = regexp.MustCompile(`^(?:(?:kind|apiVersion):| {1,4}(?:name|namespace|generateName):)[^\n]*$`)
	// fresh are functions whose result nobody else holds, so that writing into it is seen only there.
	fresh = map[string]bool{"dict": true, "deepCopy": true, "mustDeepCopy": true, "fromYaml": true, "fromJson": true,
		"omit": true, "pick": true, "lookup": true}
	// writers change their first argument.
	writers = map[string]bool{"set": true, "unset": true, "merge": true, "mustMerge": true, "mergeOverwrite": true, "mustMergeOverwrite": true}
	// digests leave nothing of the objects that a text holds.
	digests = map[string]bool{"sha1sum": true, "sha256sum": true, "sha512sum": true, "adler32sum": true, "len": true,
		"b64enc": true, "b32enc": true, "quote": true, "squote": true, "toJson": true}
)

// scope is one template under analysis. Variables are identified by name only, and keep the union of all that is assigned.
type scope struct {
	a         *analysis
	root      influence
	variables map[string]influence
	// aliases are variables that may hold a part of what all templates share.
	aliases map[string]bool
	out     influence
	grown   bool
	// line is the text of the current output line, as far as it is literal.
	line string
}

// walk adds what node prints. dot is what "." depends on, guard what decides whether node is reached.
func (s *scope) walk(node parse.Node, dot, guard influence) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			s.walk(child, dot, guard)
		}
	case *parse.TextNode:
		text := string(n.Text)
		if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			s.line = text[i+1:]
		} else {
			s.line += text
		}
	case *parse.ActionNode:
		v := s.pipe(n.Pipe, dot)
		if len(n.Pipe.Decl) > 0 {
			s.assign(n.Pipe, v.with(influence{Text: guard.Text}))
			return
		}
		s.print(influence{v.Text | guard.Text, v.set})
	case *parse.TemplateNode:
		s.print(s.call([]string{n.Name}, s.pipe(n.Pipe, dot)).with(influence{Text: guard.Text}))
	case *parse.IfNode:
		s.branch(&n.BranchNode, dot, guard, false)
	case *parse.WithNode:
		s.branch(&n.BranchNode, dot, guard, true)
	case *parse.RangeNode:
		s.branch(&n.BranchNode, dot, guard, true)
	}
}

func (s *scope) branch(n *parse.BranchNode, dot, guard influence, moveDot bool) {
	condition := s.pipe(n.Pipe, dot)
	s.assign(n.Pipe, condition)
	before := s.line
	if condition.Text != 0 {
		s.print(influence{Text: condition.Text})
		if s.printsDocuments(n.List) || s.printsDocuments(n.ElseList) {
			s.out.set |= condition.Text
		}
	}
	inner := influence{Text: guard.Text | condition.Text}
	innerDot := dot
	if moveDot {
		innerDot = condition
	}
	s.walk(n.List, innerDot, inner)
	s.line = before
	s.walk(n.ElseList, dot, inner)
}

// printsDocuments reports whether a branch can print whole objects, by itself or through a template.
func (s *scope) printsDocuments(list *parse.ListNode) bool {
	if list == nil {
		return false
	}
	if documentStart.MatchString(list.String()) {
		return true
	}
	found := false
	inspect(list, func(n parse.Node) {
		switch n := n.(type) {
		case *parse.TemplateNode:
			found = found || s.a.docs[n.Name]
		case *parse.CommandNode:
			if functionName(n) == "include" && len(n.Args) > 1 {
				found = found || slices.ContainsFunc(s.includeNames(n.Args[1]), func(name string) bool { return s.a.docs[name] })
			}
		}
	})
	return found
}

func (s *scope) print(v influence) {
	if v.Text != 0 && identityLine.MatchString(s.line) {
		v.set |= v.Text
	}
	s.out = s.out.with(v)
}

// assign gives the variables that a pipe declares or sets what its value depends on.
func (s *scope) assign(pipe *parse.PipeNode, v influence) {
	if pipe == nil {
		return
	}
	for _, variable := range pipe.Decl {
		name := variable.Ident[0]
		s.grow(name, v)
		if !fresh[functionName(pipe.Cmds[len(pipe.Cmds)-1])] {
			s.aliases[name] = true
		}
	}
}

func (s *scope) grow(name string, v influence) {
	if grown := s.variables[name].with(v); grown != s.variables[name] {
		s.variables[name] = grown
		s.grown = true
	}
}

// share notes that a value which all templates see now depends on v.
func (s *scope) share(v influence) {
	if grown := s.a.shared.with(v); grown != s.a.shared {
		s.a.shared = grown
		s.a.changed = true
	}
}

// call is what the output of one of the named templates depends on.
func (s *scope) call(names []string, dot influence) influence {
	var out influence
	for _, name := range names {
		out = out.with(s.a.template(name, dot.with(s.a.shared)))
	}
	return out
}

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

// inspect visits all nodes below n that can hold calls.
func inspect(n parse.Node, visit func(parse.Node)) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			inspect(child, visit)
		}
	case *parse.ActionNode:
		inspect(n.Pipe, visit)
	case *parse.TemplateNode:
		visit(n)
	case *parse.IfNode:
		inspectBranch(&n.BranchNode, visit)
	case *parse.WithNode:
		inspectBranch(&n.BranchNode, visit)
	case *parse.RangeNode:
		inspectBranch(&n.BranchNode, visit)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			visit(c)
			for _, arg := range c.Args {
				inspect(arg, visit)
			}
		}
	}
}

func inspectBranch(n *parse.BranchNode, visit func(parse.Node)) {
	inspect(n.Pipe, visit)
	inspect(n.List, visit)
	inspect(n.ElseList, visit)
}

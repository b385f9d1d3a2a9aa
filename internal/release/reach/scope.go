// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package reach

import (
	"strings"
	"text/template/parse"
)

// scope is one template under analysis. Variables are identified by name only, and keep all that is assigned.
type scope struct {
	a         *Analysis
	root      value
	variables map[string]value
	// foreign are variables that may hold a map that others see too.
	foreign map[string]bool
	marks   map[parse.Node]bool
	out     bool
	grown   bool
	// guarded says that a secret decides whether the current node is reached.
	guarded bool
}

func (a *Analysis) enter(root parse.Node, dot value, marks map[parse.Node]bool) *scope {
	s := &scope{a: a, root: dot, variables: map[string]value{}, foreign: map[string]bool{}, marks: marks}
	// A variable may be used in a loop before the place where it is assigned.
	for s.grown = true; s.grown; {
		s.grown = false
		s.guarded = false
		s.walk(root, dot)
	}
	return s
}

// template reports that the output of a template depends on a secret.
func (a *Analysis) template(name string, dot value) bool {
	key := name + "\x00" + dot.key()
	if a.visiting[key] {
		return a.memo[key]
	}
	if len(a.memo) > maxCalls {
		a.lost = true
		return true
	}
	a.visiting[key] = true
	out := a.memo[key]
	for _, node := range a.templates[name] {
		out = a.enter(node, dot, map[parse.Node]bool{}).out || out
	}
	if was, known := a.memo[key]; !known || was != out {
		a.memo[key] = out
		a.changed = a.changed || out
	}
	return out
}

func (s *scope) mark(n parse.Node) {
	s.marks[n] = true
}

// walk analyzes what node prints. leaves says that it can end the iteration of a loop because of a secret.
func (s *scope) walk(node parse.Node, dot value) (leaves bool) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return false
		}
		for _, child := range n.Nodes {
			leaves = s.walk(child, dot) || leaves
		}
	case *parse.TextNode:
		s.out = s.out || s.guarded && strings.TrimSpace(string(n.Text)) != ""
	case *parse.ActionNode:
		v := s.pipe(n.Pipe, dot)
		if len(n.Pipe.Decl) > 0 {
			s.assign(n.Pipe, v)
			break
		}
		if v.leaks() || s.guarded && !ends(n.Pipe) {
			s.mark(n)
			s.out = true
		}
	case *parse.TemplateNode:
		if s.calls([]string{n.Name}, s.pipe(n.Pipe, dot)) || s.guarded {
			s.mark(n)
			s.out = true
		}
	case *parse.IfNode:
		return s.branch(n, &n.BranchNode, dot, dot)
	case *parse.WithNode:
		v := s.pipe(n.Pipe, dot)
		return s.branch(n, &n.BranchNode, dot, v)
	case *parse.RangeNode:
		v := s.pipe(n.Pipe, dot)
		return s.branch(n, &n.BranchNode, dot, s.a.any(v))
	case *parse.BreakNode, *parse.ContinueNode:
		return s.guarded
	}
	return leaves
}

// ends reports a pipeline that prints nothing: it ends the rendering.
func ends(p *parse.PipeNode) bool { return functionName(p.Cmds[len(p.Cmds)-1]) == "fail" }

func (s *scope) branch(node parse.Node, n *parse.BranchNode, dot, inner value) (leaves bool) {
	condition := s.pipe(n.Pipe, dot)
	s.assignBranch(node, n.Pipe, condition)
	before := s.guarded
	// Whether a map with a secret in it is empty is no secret.
	if condition.secret {
		s.guarded = true
		s.mark(node)
	}
	left := s.walk(n.List, inner)
	left = s.walk(n.ElseList, dot) || left
	s.guarded = before
	if _, loop := node.(*parse.RangeNode); loop && left {
		// What comes after depends on it, in this iteration and in the next.
		s.mark(node)
		s.out = true
		s.guarded = true
		s.walk(n.List, inner)
		s.guarded = before
		return false
	}
	return left
}

// assignBranch gives the variables of a condition or loop their values.
func (s *scope) assignBranch(node parse.Node, pipe *parse.PipeNode, v value) {
	_, loop := node.(*parse.RangeNode)
	if !loop {
		s.assign(pipe, v)
		return
	}
	for i, variable := range pipe.Decl {
		s.foreign[variable.Ident[0]] = true
		if i == 0 && len(pipe.Decl) == 2 {
			// A key of a map with a secret in it may be a secret itself.
			s.grow(variable.Ident[0], value{secret: v.secret || len(v.places) > 0})
			continue
		}
		s.grow(variable.Ident[0], s.a.any(v))
	}
}

func (s *scope) assign(pipe *parse.PipeNode, v value) {
	if s.guarded {
		v.secret = true
	}
	for _, variable := range pipe.Decl {
		if !fresh[functionName(pipe.Cmds[len(pipe.Cmds)-1])] {
			s.foreign[variable.Ident[0]] = true
		}
		s.grow(variable.Ident[0], v)
	}
}

func (s *scope) grow(name string, v value) {
	grown := s.variables[name].with(v)
	if grown.key() != s.variables[name].key() {
		s.variables[name] = grown
		s.grown = true
	}
}

func (s *scope) calls(names []string, dot value) bool {
	out := false
	for _, name := range names {
		out = s.a.template(name, dot) || out
	}
	return out
}

func (s *scope) pipe(p *parse.PipeNode, dot value) value {
	var v value
	if p == nil {
		return v
	}
	for i, command := range p.Cmds {
		var piped *value
		if i > 0 {
			before := v
			piped = &before
		}
		v = s.command(command, dot, piped)
	}
	return v
}

func (s *scope) value(n parse.Node, dot value) value {
	if s.a.shared {
		switch n.(type) {
		case *parse.DotNode, *parse.FieldNode, *parse.VariableNode, *parse.ChainNode:
			return secretValue
		}
	}
	switch n := n.(type) {
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		return s.fields(dot, n.Ident)
	case *parse.VariableNode:
		v := s.variables[n.Ident[0]]
		if n.Ident[0] == "$" {
			v = s.root
		}
		return s.fields(v, n.Ident[1:])
	case *parse.ChainNode:
		return s.fields(s.value(n.Node, dot), n.Field)
	case *parse.PipeNode:
		v := s.pipe(n, dot)
		s.assign(n, v)
		return v
	}
	return value{}
}

func (s *scope) fields(v value, names []string) value {
	for _, name := range names {
		v = s.a.field(v, name)
	}
	return v
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package reach

import (
	"strings"
	"text/template/parse"
)

var (
	// fresh are functions whose result nobody else holds, so that writing into it is seen only there.
	fresh = set("dict", "deepCopy", "mustDeepCopy", "fromYaml", "fromJson", "omit", "pick", "list")
	// writers change their first argument.
	writers = set("set", "unset", "merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite")
	// passing functions return one of their arguments, or a part of it with the same keys.
	passing = set("default", "coalesce", "and", "or", "required", "deepCopy", "mustDeepCopy", "pick", "omit", "merge", "mustMerge",
		"mergeOverwrite", "mustMergeOverwrite", "rest", "mustRest", "initial", "mustInitial", "slice", "mustSlice", "concat", "set",
		"unset")
	// forms ask for the type of a value, or whether it is empty or there.
	forms = set("not", "empty", "len", "kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike", "hasKey")
)

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, name := range names {
		out[name] = true
	}
	return out
}

// argument is an argument of a function: its value, and its text if it is a literal.
type argument struct {
	node    parse.Node
	value   value
	literal *string
}

// command is what one call returns; piped is its last argument if it has one from the pipeline.
func (s *scope) command(c *parse.CommandNode, dot value, piped *value) value {
	name := functionName(c)
	var arguments []argument
	for _, node := range c.Args[1:] {
		one := argument{node: node, value: s.value(node, dot)}
		if text, ok := node.(*parse.StringNode); ok {
			one.literal = &text.Text
		}
		arguments = append(arguments, one)
	}
	if piped != nil {
		arguments = append(arguments, argument{value: *piped})
	}
	if name == "" {
		v := s.value(c.Args[0], dot)
		v.secret = v.secret || leak(arguments)
		return v
	}
	v := s.call(name, arguments)
	if writers[name] && len(arguments) > 1 {
		s.write(name, arguments)
	}
	return v
}

func leak(arguments []argument) bool {
	for _, one := range arguments {
		if one.value.leaks() {
			return true
		}
	}
	return false
}

func joined(arguments []argument) value {
	var v value
	for _, one := range arguments {
		v = v.with(one.value)
	}
	return v
}

func (s *scope) call(name string, arguments []argument) value {
	n := len(arguments)
	switch {
	case name == "include" && n == 2:
		return value{secret: s.calls(s.names(arguments[0]), arguments[1].value) || arguments[0].value.leaks()}
	case name == "index" && n > 0:
		return s.lookInto(arguments[0].value, arguments[1:])
	case name == "get" && n == 2:
		return s.lookInto(arguments[0].value, arguments[1:])
	case name == "dig" && n > 2:
		return s.lookInto(arguments[n-1].value, arguments[:n-2]).with(arguments[n-2].value)
	case name == "dict":
		return dictionary(arguments)
	case name == "list" || name == "tuple":
		elements := joined(arguments)
		return value{elements: &elements}.limited()
	case (name == "append" || name == "prepend" || name == "mustAppend" || name == "mustPrepend") && n == 2:
		element := arguments[1].value
		return arguments[0].value.with(value{elements: &element})
	case (name == "first" || name == "last" || name == "mustFirst" || name == "mustLast") && n == 1:
		return s.a.any(arguments[0].value)
	case name == "ternary" && n == 3:
		v := joined(arguments[:2])
		v.secret = v.secret || arguments[2].value.leaks()
		return v
	case name == "values":
		element := s.a.any(joined(arguments))
		return value{elements: &element}.limited()
	case forms[name]:
		return value{secret: joined(arguments).secret}
	case passing[name]:
		return joined(arguments)
	}
	return value{secret: leak(arguments)}
}

// lookInto follows the keys of index, get and dig.
func (s *scope) lookInto(v value, keys []argument) value {
	for _, key := range keys {
		switch {
		case key.literal != nil:
			v = s.a.field(v, *key.literal)
		default:
			v = s.a.any(v)
			v.secret = v.secret || key.value.leaks()
		}
	}
	return v
}

func dictionary(arguments []argument) value {
	out := value{fields: map[string]value{}}
	for i := 0; i+1 < len(arguments); i += 2 {
		key, v := arguments[i], arguments[i+1].value
		if key.literal != nil {
			out.fields[*key.literal] = out.fields[*key.literal].with(v)
			continue
		}
		out.secret = out.secret || key.value.leaks()
		out = out.with(value{elements: &v})
	}
	return out.limited()
}

// write notes that a function changes its first argument.
func (s *scope) write(name string, arguments []argument) {
	v := joined(arguments[1:])
	if !v.leaks() && !s.guarded {
		return
	}
	target, ok := arguments[0].node.(*parse.VariableNode)
	if !ok || len(target.Ident) != 1 || target.Ident[0] == "$" || s.foreign[target.Ident[0]] {
		if p, isPipe := arguments[0].node.(*parse.PipeNode); isPipe && fresh[functionName(p.Cmds[len(p.Cmds)-1])] {
			return
		}
		if !s.a.shared {
			s.a.shared, s.a.changed = true, true
		}
		return
	}
	switch {
	case name == "set" && arguments[1].literal != nil && !s.guarded && len(arguments) == 3:
		v = value{fields: map[string]value{*arguments[1].literal: arguments[2].value}}
	case name == "set":
		v = value{secret: true}
	}
	v.secret = v.secret || s.guarded
	s.grow(target.Ident[0], v)
}

// names are the templates that the first argument of include can name. A name that is put together at run time is resolved by the
// literal that it ends with.
func (s *scope) names(name argument) []string {
	if name.literal != nil {
		return []string{*name.literal}
	}
	end := nameEnd(name.node)
	var ending, all []string
	for known := range s.a.templates {
		all = append(all, known)
		if end != "" && strings.HasSuffix(known, end) {
			ending = append(ending, known)
		}
	}
	if len(ending) > 0 {
		return ending
	}
	return all
}

// nameEnd is the literal with which a name that is put together by print or printf certainly ends; empty for others.
func nameEnd(n parse.Node) string {
	p, ok := n.(*parse.PipeNode)
	if !ok || len(p.Cmds) != 1 {
		return ""
	}
	arguments := p.Cmds[0].Args
	switch functionName(p.Cmds[0]) {
	case "print":
		if text, ok := arguments[len(arguments)-1].(*parse.StringNode); ok {
			return text.Text
		}
	case "printf":
		if len(arguments) > 1 {
			if format, ok := arguments[1].(*parse.StringNode); ok {
				if i := strings.LastIndexByte(format.Text, '%'); i >= 0 && i+2 <= len(format.Text) {
					return format.Text[i+2:]
				}
			}
		}
	}
	return ""
}

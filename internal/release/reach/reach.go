// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package reach finds the parts of a chart's templates that can depend on given values, without rendering them.
package reach

import (
	"slices"
	"strings"
	"text/template/parse"
)

// The renderer finds out by rendering again what depends on a secret. Where the chart does not render with another secret, only its
// templates can tell. The analysis follows the paths of values through fields, variables, dictionaries and includes. It may report
// too much and never too little: what it cannot follow counts as dependent.

// Chart is one chart of a tree.
type Chart struct {
	// Base are the keys of the values under which the chart's own values are; empty for the top of the tree.
	Base []string
	// Imports says that the chart takes values from its subcharts (import-values).
	Imports bool
	// Parent says that the chart has subcharts.
	Parent bool
	Files  []File
}

// File is one template.
type File struct {
	// Name as in "# Source:".
	Name string
	Text string
	// Partial files are not rendered by themselves.
	Partial bool
}

// Analysis is what the templates of a chart do with the secrets.
type Analysis struct {
	places    []place
	templates map[string][]parse.Node
	files     map[string]*file
	memo      map[string]bool
	visiting  map[string]bool
	// shared says that a template writes something secret into what all templates see.
	shared  bool
	changed bool
	// lost says that the templates are too much for the analysis: everything reaches.
	lost bool
}

// file is a template that is rendered by itself.
type file struct {
	trees map[string]*parse.Tree
	name  string
	dot   value
	// marks are the nodes that print something secret, or whose condition is secret.
	marks   map[parse.Node]bool
	reaches bool
}

// maxCalls is how many calls of templates with different arguments are analyzed.
const maxCalls = 4000

// Analyze follows secrets, each a path of keys in the values, through the templates.
func Analyze(charts []Chart, secrets [][]string) *Analysis {
	a := &Analysis{templates: map[string][]parse.Node{}, files: map[string]*file{}, memo: map[string]bool{}}
	for _, c := range charts {
		dot := value{places: []int{a.rootOf(c, secrets)}}
		for _, f := range c.Files {
			trees, err := parseTemplate(f)
			if err != nil {
				a.lost = true
				continue
			}
			for name, tree := range trees {
				if tree.Root != nil {
					a.templates[name] = append(a.templates[name], tree.Root)
				}
			}
			if !f.Partial {
				a.files[f.Name] = &file{trees: trees, name: f.Name, dot: dot, marks: map[parse.Node]bool{}}
			}
		}
	}
	a.solve()
	return a
}

func parseTemplate(f File) (map[string]*parse.Tree, error) {
	trees := map[string]*parse.Tree{}
	tree := parse.New(f.Name)
	tree.Mode = parse.SkipFuncCheck
	_, err := tree.Parse(f.Text, "", "", trees)
	return trees, err
}

// rootOf makes the place that a chart's templates get as their dot.
func (a *Analysis) rootOf(c Chart, secrets [][]string) int {
	root := a.newPlace()
	for _, path := range secrets {
		if c.Parent {
			a.insert(root, []string{"Subcharts"})
		}
		if c.Imports {
			a.insert(root, []string{"Values"})
			continue
		}
		if relative, ok := below(path, c.Base); ok {
			a.insert(root, append([]string{"Values"}, relative...))
		}
		// The global values of each chart above are those of this one too.
		for i := range c.Base {
			if relative, ok := below(path, append(slices.Clone(c.Base[:i]), "global")); ok {
				a.insert(root, append([]string{"Values", "global"}, relative...))
			}
		}
	}
	return root
}

// below is path relative to base. A secret above base is the whole of what is below it.
func below(path, base []string) ([]string, bool) {
	n := min(len(path), len(base))
	if !slices.Equal(path[:n], base[:n]) {
		return nil, false
	}
	return path[n:], true
}

// solve analyzes all files until nothing is added. The sets only grow, so it ends.
func (a *Analysis) solve() {
	for a.changed = true; a.changed && !a.lost; {
		a.changed = false
		a.visiting = map[string]bool{}
		for _, f := range a.files {
			s := a.enter(f.trees[f.name].Root, f.dot, f.marks)
			f.reaches = f.reaches || s.out || len(f.marks) > 0
		}
	}
}

// Reaches reports that the output of a file can depend on a secret.
func (a *Analysis) Reaches(name string) bool {
	f := a.files[name]
	return a.lost || f != nil && f.reaches
}

// Skeleton is the template without what can depend on a secret: hole stands for what it prints, and what a secret decides is left
// out. ok is false if there is no such template.
func (a *Analysis) Skeleton(name, hole string) (text string, ok bool) {
	f := a.files[name]
	if a.lost || f == nil || f.trees[name] == nil || a.shared {
		return "", false
	}
	var b strings.Builder
	for defined, tree := range f.trees {
		if defined != name && tree.Root != nil {
			b.WriteString(`{{define "` + defined + `"}}` + tree.Root.String() + "{{end}}")
		}
	}
	b.WriteString(f.without(f.trees[name].Root, hole).String())
	return b.String(), true
}

// without copies a list without the marked nodes.
func (f *file) without(list *parse.ListNode, hole string) *parse.ListNode {
	out := list.CopyList()
	out.Nodes = nil
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if f.marks[n] && len(n.Pipe.Decl) == 0 {
				node = textNode(indentOf(n.Pipe, hole))
			}
		case *parse.TemplateNode:
			if f.marks[n] {
				node = textNode(hole)
			}
		case *parse.IfNode:
			if f.marks[n] {
				continue
			}
			same := *n
			same.BranchNode = f.branch(n.BranchNode, hole)
			node = &same
		case *parse.WithNode:
			if f.marks[n] {
				continue
			}
			same := *n
			same.BranchNode = f.branch(n.BranchNode, hole)
			node = &same
		case *parse.RangeNode:
			if f.marks[n] {
				continue
			}
			same := *n
			same.BranchNode = f.branch(n.BranchNode, hole)
			node = &same
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out
}

func (f *file) branch(n parse.BranchNode, hole string) parse.BranchNode {
	n.List = f.without(n.List, hole)
	if n.ElseList != nil {
		n.ElseList = f.without(n.ElseList, hole)
	}
	return n
}

func textNode(text string) parse.Node {
	return &parse.TextNode{NodeType: parse.NodeText, Text: []byte(text)}
}

// indentOf puts the hole where the output of a pipeline begins, so that the rest is still YAML.
func indentOf(pipe *parse.PipeNode, hole string) string {
	last := pipe.Cmds[len(pipe.Cmds)-1]
	if functionName(last) != "nindent" || len(last.Args) < 2 {
		return hole
	}
	if n, ok := last.Args[1].(*parse.NumberNode); ok && n.IsInt && n.Int64 >= 0 && n.Int64 < 100 {
		return "\n" + strings.Repeat(" ", int(n.Int64)) + hole
	}
	return hole
}

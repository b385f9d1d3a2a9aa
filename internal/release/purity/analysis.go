// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package purity

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"

	helmchart "helm.sh/helm/v3/pkg/chart"
)

// mayMatter finds the words without which no template needs to be parsed.
var mayMatter = regexp.MustCompile(`\b(?:Capabilities|` + strings.Join(impureFunctions, "|") + `)\b`)

// Analyze analyzes the templates of a chart and its subcharts, as they are left after the values have switched subcharts
// off, and the texts that tpl may be given: strings of the values, and files of the charts.
func Analyze(ch *helmchart.Chart, values map[string]any) (*Result, error) {
	a := &analysis{
		templates: map[string][]parse.Node{},
		memo:      map[call]influence{},
		docs:      map[string]bool{},
	}
	matters := false
	var files []string
	VisitCharts(ch, func(c *helmchart.Chart) {
		for _, t := range c.Templates {
			if t == nil {
				continue
			}
			name := path.Join(c.ChartFullPath(), t.Name)
			matters = matters || mayMatter.Match(t.Data)
			a.sources = append(a.sources, source{name: name, text: string(t.Data)})
			base := path.Base(t.Name)
			if !strings.HasPrefix(base, "_") && !strings.EqualFold(c.Metadata.Type, "library") {
				files = append(files, name)
			}
		}
		for _, f := range c.Files {
			if f != nil && strings.Contains(string(f.Data), "{{") {
				matters = matters || mayMatter.Match(f.Data)
				a.tplTexts = append(a.tplTexts, string(f.Data))
			}
		}
	})
	EachString(values, func(s string) {
		if strings.Contains(s, "{{") {
			matters = matters || mayMatter.MatchString(s)
			a.tplTexts = append(a.tplTexts, s)
		}
	})
	out := &Result{Files: map[string]influence{}}
	if !matters {
		return out, nil
	}
	if err := a.parse(); err != nil {
		return nil, err
	}
	out.Files = a.solve(files)
	for name, i := range out.Files {
		out.All = out.All.with(i)
		if strings.HasSuffix(name, NotesFile) {
			out.notes = out.notes.with(i)
			delete(out.Files, name)
		}
	}
	return out, nil
}

// VisitCharts calls visit with a chart and all its subcharts.
func VisitCharts(ch *helmchart.Chart, visit func(*helmchart.Chart)) {
	visit(ch)
	for _, dependency := range ch.Dependencies() {
		VisitCharts(dependency, visit)
	}
}

// EachString calls visit with each string in a tree of maps and lists.
func EachString(v any, visit func(string)) {
	EachScalar(v, func(v any) {
		if text, ok := v.(string); ok {
			visit(text)
		}
	})
}

// EachScalar calls visit with each value in a tree that is neither a map nor a list.
func EachScalar(v any, visit func(any)) {
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			EachScalar(child, visit)
		}
	case []any:
		for _, child := range v {
			EachScalar(child, visit)
		}
	default:
		visit(v)
	}
}

type source struct{ name, text string }

// call is a template together with what its dot can depend on.
type call struct {
	name string
	dot  influence
}

type analysis struct {
	sources []source
	// tplTexts may be executed by tpl.
	tplTexts []string
	// templates by name: files, defines and, under tplName, the texts of tpl. All definitions of a name count, since
	// which of them wins is decided by the order of parsing.
	templates map[string][]parse.Node
	// docs reports the templates that can print whole objects.
	docs map[string]bool
	memo map[call]influence
	// visiting are the calls of the current round: each is computed once in it.
	visiting map[call]bool
	// shared is what templates write into values that all of them see ({{ set .Values … }}).
	shared  influence
	changed bool
}

// tplName is the name under which the texts that tpl may be given are kept; no template can have it.
const tplName = "\x00tpl"

func (a *analysis) parse() error {
	for _, s := range a.sources {
		if err := a.add(s.name, s.text); err != nil {
			return fmt.Errorf("parsing template %s: %w", s.name, err)
		}
	}
	for _, text := range a.tplTexts {
		a.addTpl(text)
	}
	for name, nodes := range a.templates {
		a.docs[name] = slices.ContainsFunc(nodes, func(n parse.Node) bool { return documentStart.MatchString(n.String()) })
	}
	return nil
}

func (a *analysis) add(name, text string) error {
	trees := map[string]*parse.Tree{}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "", "", trees); err != nil {
		return err
	}
	for defined, t := range trees {
		if t.Root != nil {
			a.templates[defined] = append(a.templates[defined], t.Root)
		}
	}
	return nil
}

// addTpl adds a text that tpl may execute. What does not parse cannot be executed either.
func (a *analysis) addTpl(text string) {
	if err := a.add(tplName, text); err != nil {
		return
	}
}

// solve computes what each file depends on. Templates call each other and write into what others read, so it repeats until
// nothing is added; the sets only grow, so it ends.
func (a *analysis) solve(files []string) map[string]influence {
	out := map[string]influence{}
	for a.changed = true; a.changed; {
		a.changed = false
		a.visiting = map[call]bool{}
		for _, name := range files {
			out[name] = a.template(name, a.shared)
		}
	}
	return out
}

// template is what the output of a template depends on when its dot depends on dot.
func (a *analysis) template(name string, dot influence) influence {
	c := call{name, dot}
	if a.visiting[c] {
		return a.memo[c]
	}
	a.visiting[c] = true
	out := a.memo[c]
	for _, node := range a.templates[name] {
		out = out.with(a.enterTemplate(node, dot))
	}
	if out != a.memo[c] {
		a.memo[c] = out
		a.changed = true
	}
	return out
}

// matching resolves the name of an include that is put together at run time ({{ include (print $.Template.BasePath
// "/secret.yaml") . }}) by the literal that it ends with; all templates where there is none.
func (a *analysis) matching(literal string) []string {
	if i := strings.LastIndexByte(literal, '%'); i >= 0 && i+2 <= len(literal) {
		literal = literal[i+2:]
	}
	var names, all []string
	for name := range a.templates {
		if strings.HasPrefix(name, tplName) {
			continue
		}
		all = append(all, name)
		if literal != "" && strings.HasSuffix(name, literal) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return names
	}
	return all
}

func (a *analysis) enterTemplate(root parse.Node, dot influence) influence {
	s := &scope{a: a, root: dot, variables: map[string]influence{}, aliases: map[string]bool{}}
	// A variable may be used in a loop before the place where it is assigned.
	for s.grown = true; s.grown; {
		s.grown = false
		s.line = ""
		s.walk(root, dot, influence{})
	}
	return s.out
}

// NotesFile is the template whose text Helm shows to the user instead of sending it to the API server.
const NotesFile = "NOTES.txt"

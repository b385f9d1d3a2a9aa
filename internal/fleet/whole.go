// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Whole is a fleet with the values of all its environments.
type Whole struct {
	*Fleet
	Resolved []*Resolved
	// Findings of all kinds, sorted; a finding of several environments is listed once.
	Findings []Finding
}

// compare returns the values that differ from the base. Added environments are not compared key by key.
func (w *Whole) compare(base Base) (changes []KeyChange, affected, added, removed []string, err error) {
	type identity struct{ key, before, after string }
	places := map[identity]int{}
	now := map[string]bool{}
	for _, r := range w.Resolved {
		now[r.Name()] = true
		content, known := base[r.Name()]
		if !known {
			added = append(added, r.Name())
			continue
		}
		if bytes.Equal(content, w.YAML(r)) {
			continue
		}
		affected = append(affected, r.Name())
		before, err := values.ParseDefaults("before", r.Name(), content)
		if err != nil {
			return nil, nil, nil, nil, fmt.Errorf("reading the generated values to compare with: %w", err)
		}
		for key, pair := range differences(before.Root(), r.Values) {
			id := identity{key, pair[0].OneLine(), pair[1].OneLine()}
			at, known := places[id]
			if !known {
				at = len(changes)
				places[id] = at
				changes = append(changes,
					KeyChange{Key: key, Before: w.shownOrNil(key, pair[0]), After: w.shownOrNil(key, pair[1]), Source: pair[1].Origin()})
			}
			changes[at].Environments = append(changes[at].Environments, r.Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if !now[name] && !w.failed(name) {
			removed = append(removed, name)
		}
	}
	slices.SortFunc(changes, func(a, b KeyChange) int {
		return cmp.Or(cmp.Compare(len(b.Environments), len(a.Environments)), cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Environments[0], b.Environments[0]))
	})
	return changes, affected, added, removed, nil
}

// failed lists environments that exist but could not be generated.
func (w *Whole) failed(name string) bool {
	client, stage, _ := strings.Cut(name, "/")
	return w.Find(client, stage) != nil
}

// Report compares the fleet's values with those generated before.
func (w *Whole) Report(base Base) (*Report, error) {
	out := &Report{Environments: len(w.Environments), Findings: w.Findings}
	var err error
	if out.Changes, out.Affected, out.Added, out.Removed, err = w.compare(base); err != nil {
		return nil, err
	}
	touched := map[string]bool{}
	for _, name := range append(append([]string{}, out.Affected...), out.Added...) {
		touched[name] = true
	}
	count := func(groups []string, group func(*Environment) string) []Share {
		shares := make([]Share, len(groups))
		for i, name := range groups {
			shares[i].Name = name
			for _, e := range w.Environments {
				if group(e) != name {
					continue
				}
				shares[i].Of++
				if touched[e.Name()] {
					shares[i].Affected++
				}
			}
		}
		return shares
	}
	out.ByStage = count(w.Stages, func(e *Environment) string { return e.Stage })
	out.ByWave = count(w.WaveNames(), func(e *Environment) string { return e.WaveName })
	// JSON has lists, not nulls.
	for _, list := range []*[]string{&out.Affected, &out.Added, &out.Removed} {
		if *list == nil {
			*list = []string{}
		}
	}
	if out.Changes == nil {
		out.Changes = []KeyChange{}
	}
	if out.Findings == nil {
		out.Findings = []Finding{}
	}
	return out, nil
}

// ResolveAll computes the values of all environments, checks each, and compares them with each other. An environment with invalid
// layers is missing in Resolved, and has a finding.
func (f *Fleet) ResolveAll(ctx context.Context) (*Whole, error) {
	resolved := make([]*Resolved, len(f.Environments))
	failed := make([]Finding, len(f.Environments))
	if err := parallel(ctx, len(f.Environments), func(i int) error {
		r, err := f.Resolve(f.Environments[i])
		if err == nil {
			resolved[i] = r
			return nil
		}
		finding, ok := fileFinding(f.Dir, err, f.Environments[i])
		if !ok {
			return err
		}
		failed[i] = finding
		return nil
	}); err != nil {
		return nil, err
	}
	out := &Whole{Fleet: f}
	var findings []Finding
	for i, r := range resolved {
		if r == nil {
			findings = append(findings, failed[i])
			continue
		}
		out.Resolved = append(out.Resolved, r)
		findings = append(findings, r.Findings...)
	}
	findings = append(findings, f.foreign(out.Resolved)...)
	findings = append(findings, f.outliers(out.Resolved)...)
	findings = append(findings, f.useless(out.Resolved)...)
	findings = append(findings, f.sharedPlaces(out.Resolved)...)
	findings = append(findings, f.selectors()...)
	findings = append(findings, f.misspelledTags()...)
	unread, err := f.unread()
	if err != nil {
		return nil, err
	}
	findings = append(findings, unread...)
	for _, stray := range f.Strays {
		findings = append(findings, Finding{Rule: RuleStray, Severity: SeverityWarning, Origin: values.Origin{File: filepath.Join(f.Dir, stray)},
			Text: fmt.Sprintf("the folder %s has no %s, so it is no client", stray, clientFileName)})
	}
	out.Findings = gather(findings)
	return out, nil
}

// outliers finds values that at most two environments of a stage have, while at least nine in ten share another value.
func (f *Fleet) outliers(resolved []*Resolved) []Finding {
	const fewest = 8 // with fewer environments in a stage, nothing is usual
	byStage := map[string][]*Resolved{}
	for _, r := range resolved {
		byStage[r.Stage] = append(byStage[r.Stage], r)
	}
	var findings []Finding
	for _, stage := range f.Stages {
		all := byStage[stage]
		if len(all) < fewest {
			continue
		}
		found := map[string]map[string][]*Resolved{} // key → value → environments
		for _, r := range all {
			r.Values.Walk(func(path []string, leaf *values.Node) bool {
				key := values.JoinPath(path)
				if found[key] == nil {
					found[key] = map[string][]*Resolved{}
				}
				text := leaf.OneLine()
				found[key][text] = append(found[key][text], r)
				return true
			})
		}
		for key, byValue := range found {
			findings = append(findings, f.outliersOf(key, stage, byValue, len(all))...)
		}
	}
	return findings
}

func (f *Fleet) outliersOf(key, stage string, byValue map[string][]*Resolved, total int) []Finding {
	var usual []*Resolved
	without := total
	for _, having := range byValue {
		without -= len(having)
		if len(having) > len(usual) {
			usual = having
		}
	}
	if len(usual) == total || len(usual)*10 < total*9 || total-len(usual) > max(2, total/50) {
		return nil
	}
	var findings []Finding
	for _, having := range byValue {
		if &having[0] == &usual[0] {
			continue
		}
		n := having[0].Values.At(key)
		findings = append(findings, Finding{
			Rule: RuleOutlier, Severity: SeverityNote, Key: key, Origin: n.Origin(), Environments: names(having),
			Text: fmt.Sprintf("%s is %s here, and %s in %d of %d environments of stage %s", key, f.Shown(key, n),
				f.Shown(key, usual[0].Values.At(key)), len(usual), total, stage),
		})
	}
	return findings
}

func names(resolved []*Resolved) []string {
	out := make([]string, len(resolved))
	for i, r := range resolved {
		out[i] = r.Name()
	}
	slices.Sort(out)
	return out
}

// useless finds values of layers that have no effect in any environment. Repeating the chart's default is not useless: it keeps the
// value when the default changes.
func (f *Fleet) useless(resolved []*Resolved) []Finding {
	users := map[*layerFile][]*Resolved{}
	var order []*layerFile
	for _, r := range resolved {
		for _, file := range r.files {
			if users[file] == nil {
				order = append(order, file)
			}
			users[file] = append(users[file], r)
		}
	}
	var findings []Finding
	for _, file := range order {
		file.layer.Root().Walk(func(path []string, leaf *values.Node) bool {
			if len(path) == 0 {
				return true
			}
			key := values.JoinPath(path)
			same, over := true, true
			for _, r := range users[file] {
				effect := f.effect(r, key, file)
				same, over = same && effect == effectSame, over && effect == effectOver
				if !same && !over {
					return true
				}
			}
			text := fmt.Sprintf("%s changes nothing: it is the same without this line", key)
			if over {
				text = fmt.Sprintf("%s changes nothing: a later layer overrides it in every environment", key)
			}
			findings = append(findings,
				Finding{Rule: RuleUseless, Severity: SeverityNote, Key: key, Origin: leaf.Origin(), Text: text, Environments: names(users[file])})
			return true
		})
	}
	return findings
}

const (
	effectSome = iota
	effectSame // the layers below set the same
	effectOver // a later layer overrides it
)

// effect is the effect of a layer's value in an environment.
func (f *Fleet) effect(r *Resolved, key string, file *layerFile) int {
	settings := f.Explain(r, key)
	for i, setting := range settings {
		if setting.Layer != file.layer.Name || setting.File != file.path {
			continue
		}
		switch {
		case setting.Effect == values.Overridden || setting.Effect == values.Hidden:
			return effectOver
		case setting.Effect == values.Wins && i+1 < len(settings) && settings[i+1].Effect == values.Overridden &&
			settings[i+1].Layer != chartLayer && setting.Value.Equal(settings[i+1].Value):
			return effectSame
		}
		return effectSome
	}
	return effectSome
}

// foreign finds values in an environment that belong to another client, and values that two clients claim.
func (f *Fleet) foreign(resolved []*Resolved) []Finding {
	owners, findings := f.identities(resolved)
	byName := map[string]bool{}
	if f.Identity.Names == nil || *f.Identity.Names {
		for _, r := range resolved {
			byName[r.Client] = true
		}
	}
	if len(owners) == 0 && len(byName) < 2 {
		return findings
	}
	ignored := patterns(f.Identity.Ignore)
	known := map[*values.Node][]string{} // nodes are shared between environments
	for _, r := range resolved {
		r.Values.Scalars(func(path []string, leaf *values.Node) {
			text, ok := leaf.Scalar().(string)
			if !ok || len(text) < 3 || matchesAny(ignored, path) {
				return
			}
			clients, seen := known[leaf]
			if !seen {
				clients = mentioned(text, owners, byName)
				known[leaf] = clients
			}
			for _, client := range clients {
				if client != r.Client {
					key := values.JoinPath(path)
					findings = append(findings, Finding{
						Rule: RuleForeign, Severity: SeverityError, Key: key, Origin: leaf.Origin(), Environments: []string{r.Name()},
						Text: fmt.Sprintf("%s is %s in the values of %s, and that belongs to %s", key, f.Shown(key, leaf), r.Client, client),
					})
				}
			}
		})
	}
	return findings
}

// identities maps each identifying value to its client.
func (f *Fleet) identities(resolved []*Resolved) (map[string]string, []Finding) {
	owners := map[string]string{}
	var findings []Finding
	claim := func(r *Resolved, what, text string, origin values.Origin) {
		text = strings.ToLower(text)
		if len(text) < 3 {
			return
		}
		owner, taken := owners[text]
		if !taken {
			owners[text] = r.Client
			return
		}
		if owner != r.Client {
			findings = append(findings, Finding{Rule: RuleForeign, Severity: SeverityError, Key: what, Origin: origin, Environments: []string{
				r.Name(),
			},
				Text: fmt.Sprintf("%s is %s for the clients %s and %s; it must be one client's own", what, f.shownText(what, text), owner, r.Client)})
		}
	}
	for _, r := range resolved {
		for _, fact := range f.Identity.Facts {
			claim(r, fact, r.Facts[fact], values.Origin{File: filepath.Join(f.Dir, r.Client, clientFileName)})
		}
		for _, path := range f.Identity.Values {
			matchPath(r.Values, steps(path), nil, false, func(at []string, n *values.Node) {
				if text, ok := n.Scalar().(string); ok {
					claim(r, values.JoinPath(at), text, n.Origin())
				}
			})
		}
	}
	return owners, findings
}

func (f *Fleet) shownText(path, text string) string {
	if f.looksSecret(steps(path), text) {
		return "(masked)"
	}
	return text
}

// mentioned lists the clients that a text refers to, by an identifying value or by name. The longest name counts, so that acme-eu does
// not match acme as well.
func mentioned(text string, owners map[string]string, byName map[string]bool) []string {
	var found []string
	add := func(client string) {
		if !slices.Contains(found, client) {
			found = append(found, client)
		}
	}
	text = strings.ToLower(text)
	if owner, ok := owners[text]; ok {
		add(owner)
	}
	for token := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) {
		if owner, ok := owners[strings.Trim(token, ".")]; ok {
			add(owner)
		}
		for part := range strings.FieldsFuncSeq(token, func(r rune) bool { return r == '.' || r == '_' }) {
			words := strings.Split(part, "-")
			for i := 0; i < len(words); i++ {
				for j := len(words); j > i; j-- {
					if name := strings.Join(words[i:j], "-"); byName[name] {
						add(name)
						i = j - 1
						break
					}
				}
			}
		}
	}
	return found
}

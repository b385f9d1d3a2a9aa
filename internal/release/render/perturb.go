// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Limits of the search for sentinels that a chart accepts.
const (
	maxRenderings = 200
	variants      = 2
)

// keysOfTheValues names the top of the secret values.
const keysOfTheValues = "the keys of the values"

// perturbation is the search for renderings in which all secrets are replaced.
type perturbation struct {
	renderer *renderer
	public   *publicText
	// changes are what the chart accepted so far, and renderings what came of them.
	changes    map[string]change
	keys       bool
	renderings []*Raw
	given      []map[string]any
	count      int
	// open are the leaves of which the chart accepts no sentinel that is whole. kept of them are replaced in part.
	open []secretLeaf
	// openKeys says that the chart does not accept other keys.
	openKeys bool
	// refused is what the chart said of the first rendering that failed.
	refused error
}

// perturbSecrets renders with sentinels in place of all secrets. A chart that refuses them gets other forms of sentinels, for all
// secrets and then for as few as possible at a time. What a secret for which there is no sentinel can reach is found in the templates.
func (r *renderer) perturbSecrets(ctx context.Context, m *masks) error {
	leaves := secretLeaves(r.spec.Sensitive, r.spec.WriteOnly)
	if len(leaves) == 0 {
		return nil
	}
	p := &perturbation{renderer: r, public: r.public, changes: map[string]change{}}
	if err := p.settle(ctx, leaves); err != nil {
		return err
	}
	m.secret = p.renderings
	m.brace = newBrace(r.public, leaves, p)
	if len(p.open) == 0 && !p.openKeys {
		return nil
	}
	return r.hideReachable(ctx, m, p)
}

// settle finds the forms of all leaves.
func (p *perturbation) settle(ctx context.Context, leaves []secretLeaf) error {
	units := groups(leaves)
	otherKeys := len(p.unknownKeys()) > 0
	done := false
	var err error
	if otherKeys {
		p.keys = true
		if done, err = p.together(ctx, units); err != nil {
			return err
		}
	}
	if !done {
		p.keys = false
		if err := p.accept(ctx, units); err != nil {
			return err
		}
	}
	if otherKeys && !done {
		p.keys = true
		found, given, err := p.render(ctx, p.changes, 1, variants)
		switch {
		case err != nil:
			return err
		case found != nil:
			p.renderings, p.given = found, given
		default:
			p.keys, p.openKeys = false, true
		}
	}
	if len(p.open) == 0 {
		return p.more(ctx)
	}
	return nil
}

// unknownKeys are the paths of the maps that have such a key.
func (p *perturbation) unknownKeys() [][]string {
	var out [][]string
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		for key, child := range m {
			if !p.public.knows(key) {
				out = append(out, path)
			}
			walk(child, append(slices.Clip(path), key))
		}
	}
	walk(p.renderer.spec.Sensitive, nil)
	walk(p.renderer.spec.WriteOnly, nil)
	return out
}

// groups are the leaves that are equal: a chart may ask for two secrets to be the same.
func groups(leaves []secretLeaf) [][]secretLeaf {
	var out [][]secretLeaf
	at := map[string]int{}
	for _, leaf := range leaves {
		text := fmt.Sprintf("%T %v", leaf.value, leaf.value)
		if _, isBool := leaf.value.(bool); isBool {
			text = leaf.path
		}
		i, known := at[text]
		if !known {
			i = len(out)
			at[text] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], leaf)
	}
	return out
}

// accept replaces the leaves of some groups in addition to those that are replaced: all of them if the chart accepts that, else as
// many as it does.
func (p *perturbation) accept(ctx context.Context, units [][]secretLeaf) error {
	done, err := p.together(ctx, units)
	if done || err != nil {
		return err
	}
	if len(units) > 1 {
		if err := p.accept(ctx, units[:len(units)/2]); err != nil {
			return err
		}
		return p.accept(ctx, units[len(units)/2:])
	}
	p.open = append(p.open, units[0]...)
	for _, f := range partForms {
		if found, err := p.try(ctx, units, change{f, true}); err != nil || found {
			return err
		}
	}
	return nil
}

// together replaces the leaves of some groups in one form that changes all of each.
func (p *perturbation) together(ctx context.Context, units [][]secretLeaf) (done bool, err error) {
	forms := wholeForms
	if len(units) > 1 {
		forms = wholeForms[:3]
	}
	for _, tied := range []bool{false, true} {
		if tied && !slices.ContainsFunc(units, func(unit []secretLeaf) bool { return len(unit) > 1 }) {
			continue
		}
		for _, f := range forms {
			if done, err := p.try(ctx, units, change{f, tied}); err != nil || done {
				return done, err
			}
		}
	}
	return false, nil
}

// try renders with the leaves replaced in one way. Only what the chart accepts is kept.
func (p *perturbation) try(ctx context.Context, units [][]secretLeaf, c change) (bool, error) {
	changes := maps.Clone(p.changes)
	for _, unit := range units {
		for _, leaf := range unit {
			changes[leaf.path] = c
		}
	}
	found, given, err := p.render(ctx, changes, 1, variants)
	if err != nil || found == nil {
		return false, err
	}
	p.changes, p.renderings, p.given = changes, found, given
	return true, nil
}

// more adds what shows the length of a secret and how it is taken apart, if the chart accepts that too.
func (p *perturbation) more(ctx context.Context) error {
	for i, f := range []form{longer, withStructure} {
		changes := maps.Clone(p.changes)
		for path, c := range changes {
			changes[path] = change{f, c.tied}
		}
		found, given, err := p.render(ctx, changes, variants+1+i, 1)
		if err != nil {
			return err
		}
		p.renderings, p.given = append(p.renderings, found...), append(p.given, given...)
	}
	return nil
}

// untouched reports a leaf that no rendering replaces.
func (p *perturbation) untouched(leaf secretLeaf) bool {
	_, changed := p.changes[leaf.path]
	return !changed
}

// render renders n variants from the first on, with the given changes; nil if the chart refuses one of them.
func (p *perturbation) render(ctx context.Context, changes map[string]change, first, n int) ([]*Raw, []map[string]any, error) {
	var out []*Raw
	var given []map[string]any
	for variant := first; variant < first+n; variant++ {
		if p.count++; p.count > maxRenderings {
			return nil, nil, nil
		}
		in, secrets := p.renderer.replaced(&sentinels{public: p.public, variant: variant, changes: changes, keys: p.keys})
		raw, refused, err := p.renderer.attempt(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		if raw == nil {
			if p.refused == nil {
				p.refused = refused
			}
			return nil, nil, nil
		}
		out, given = append(out, raw), append(given, secrets...)
	}
	return out, given, nil
}

// replaced is the input with sentinels, and the layers of values that hold them.
func (r *renderer) replaced(s *sentinels) (Input, []map[string]any) {
	in := r.in
	sensitive, writeOnly := s.in(r.spec.Sensitive), s.in(r.spec.WriteOnly)
	in.Values = values.Merge(r.spec.Values, sensitive, writeOnly)
	return in, []map[string]any{values.Merge(sensitive, writeOnly)}
}

// openPaths are the secrets that only the templates can tell about, as paths of keys.
func (p *perturbation) openPaths() [][]string {
	var out [][]string
	for _, leaf := range p.open {
		out = append(out, leaf.keysOf(p.renderer.spec.Sensitive, p.renderer.spec.WriteOnly))
	}
	if p.openKeys {
		out = append(out, p.unknownKeys()...)
	}
	return out
}

// openNames names the values for people. A key that only the secrets have is not shown.
func (p *perturbation) openNames() string {
	var names []string
	for _, path := range p.openPaths() {
		for i, key := range path {
			if !p.public.knows(key) {
				path = append(slices.Clone(path[:i]), "…")
				break
			}
		}
		name := strings.Join(path, ".")
		if name == "" {
			name = keysOfTheValues
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"maps"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/purity"
)

// masks is what the perturbed renderings say of which leaves depend on secrets and on the revision.
type masks struct {
	raw    *Raw
	public *publicText
	// secret are renderings with sentinels in place of secrets, revision with another revision.
	secret   []*Raw
	revision []*Raw
	// skeleton is a rendering without what can depend on a secret for which there is no sentinel; nil if there is none.
	skeleton *Raw
	// hidden are templates of which nothing is shown.
	hidden map[string]bool
	// unproven say which templates are concerned by the two.
	unproven []Finding
	brace    *brace
	// writeOnly says that write-only values are among the secrets: the apply may get others than the plan.
	writeOnly bool
	// keys of raw.objects, with what depends on a secret or the revision masked. Filled by fill.
	keys []object.Key
}

// fill writes the masked objects and notes, and what is to be said of their set.
func (m *masks) fill(out *Result) error {
	objects := m.raw.Objects
	secret, missing, appeared := partnersIn(objects, m.secret)
	if m.skeleton != nil {
		also, _, _ := partnersIn(objects, []*Raw{m.skeleton})
		for i := range secret {
			secret[i] = append(secret[i], also[i]...)
		}
	}
	revision, _, _ := partnersIn(objects, m.revision)
	if m.writeOnly && (missing || appeared) {
		out.VolatileSet = "which objects there are depends on a write-only value"
	}
	out.Objects = make(map[object.Key]string, len(objects))
	out.ByKey = make(map[object.Key]object.Rendered, len(objects))
	m.keys = make([]object.Key, len(objects))
	for i, o := range objects {
		key := m.key(o, secret[i], revision[i])
		masked, ok := m.brace.mask(m.mask(o, secret[i], revision[i])).(map[string]any)
		switch {
		case !ok:
			masked = m.shell(o.Object)
		case strings.Contains(string(key), object.MaskSecret):
			masked = withoutName(masked)
		}
		for n := 2; ; n++ {
			if _, taken := out.Objects[key]; !taken {
				break
			}
			key = object.Key(fmt.Sprintf("%s %d", m.key(o, secret[i], revision[i]), n))
		}
		text, err := object.Canonical(masked)
		if err != nil {
			return fmt.Errorf("writing %s: %w", key, err)
		}
		m.keys[i] = key
		out.Objects[key] = text
		out.ByKey[key] = o
	}
	out.Notes = m.notes(out.Secrets)
	return nil
}

// partnersIn pairs each object with what it is in each of the other renderings; nil there where it is missing. missing and
// appeared say that some object is not in all of the renderings.
func partnersIn(objects []object.Rendered, others []*Raw) (partners [][]*object.Rendered, missing, appeared bool) {
	partners = make([][]*object.Rendered, len(objects))
	for _, other := range others {
		found, extra := pair(objects, other.Objects)
		appeared = appeared || len(extra) > 0
		for i := range objects {
			partners[i] = append(partners[i], found[i])
			missing = missing || found[i] == nil
		}
	}
	return partners, missing, appeared
}

// pair finds each object of base in another rendering: by its key, else, since a key may hold what was changed, as the next
// one of its kind from the same template. extra are those of other that base has not.
func pair(base, other []object.Rendered) (partners []*object.Rendered, extra []*object.Rendered) {
	type group struct {
		source, apiVersion, kind string
		hook                     bool
	}
	groupOf := func(o *object.Rendered) group {
		apiVersion, _ := o.Object["apiVersion"].(string)
		kind, _ := o.Object["kind"].(string)
		return group{o.Source, apiVersion, kind, o.Hook}
	}
	byKey := make(map[object.Key]*object.Rendered, len(other))
	for i := range other {
		byKey[other[i].Key] = &other[i]
	}
	partners = make([]*object.Rendered, len(base))
	for i := range base {
		if o, ok := byKey[base[i].Key]; ok {
			partners[i] = o
			delete(byKey, base[i].Key)
		}
	}
	rest := map[group][]*object.Rendered{}
	for i := range other {
		if _, ok := byKey[other[i].Key]; ok {
			g := groupOf(&other[i])
			rest[g] = append(rest[g], &other[i])
		}
	}
	for i := range base {
		g := groupOf(&base[i])
		if partners[i] == nil && len(rest[g]) > 0 {
			partners[i], rest[g] = rest[g][0], rest[g][1:]
		}
	}
	for _, left := range rest {
		extra = append(extra, left...)
	}
	return partners, extra
}

func (m *masks) mask(o object.Rendered, secret, revision []*object.Rendered) any {
	shown := object.MaskSecretData(o.Object)
	variants, all := dataOf(secret)
	if !all || m.hidden[o.Source] {
		return m.shell(shown)
	}
	hidden, _ := object.MaskDifferences(o.Object, object.MaskSecret, variants...)
	variants, _ = dataOf(revision)
	numbered, _ := object.MaskDifferences(o.Object, object.MaskRevision, variants...)
	return overlay(shown, hidden, numbered)
}

// dataOf are the objects that are there; all is false where one is missing.
func dataOf(partners []*object.Rendered) (out []map[string]any, all bool) {
	all = true
	for _, p := range partners {
		if p == nil {
			all = false
			continue
		}
		out = append(out, p.Object)
	}
	return out, all
}

// shell shows of an object, whose very presence depends on a secret, only that there is one of its kind.
func (m *masks) shell(o map[string]any) map[string]any {
	out := make(map[string]any, len(o))
	for field, v := range o {
		out[field] = object.MaskSecret
		if field == "apiVersion" || field == "kind" {
			out[field] = m.kind(v)
		}
	}
	return out
}

// kind is an API version or a kind that the chart itself names.
func (m *masks) kind(v any) any {
	if text, ok := v.(string); ok && m.public.knows(text) {
		return text
	}
	return object.MaskSecret
}

// withoutName masks the name and namespace of an object whose key is masked.
func withoutName(o map[string]any) map[string]any {
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		return o
	}
	out, named := maps.Clone(o), maps.Clone(metadata)
	for _, field := range []string{"name", "namespace"} {
		if _, there := named[field]; there {
			named[field] = object.MaskSecret
		}
	}
	out["metadata"] = named
	return out
}

// overlay masks in shown what is masked in one of the others. A secret wins over a revision.
func overlay(shown, hidden, numbered any) any {
	switch {
	case shown == object.MaskSecret || hidden == object.MaskSecret:
		return object.MaskSecret
	case numbered == object.MaskRevision:
		return object.MaskRevision
	}
	switch shown := shown.(type) {
	case map[string]any:
		h, _ := hidden.(map[string]any)
		n, _ := numbered.(map[string]any)
		out := make(map[string]any, len(shown))
		for k, v := range shown {
			out[k] = overlay(v, h[k], n[k])
		}
		return out
	case []any:
		h, _ := hidden.([]any)
		n, _ := numbered.([]any)
		out := make([]any, len(shown))
		for i, v := range shown {
			out[i] = overlay(v, at(h, i), at(n, i))
		}
		return out
	}
	return shown
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// key masks the name where it depends on a secret (whole, since another secret gives another name) or on the revision (the
// number alone: "batch/v1/Job/migrate-(release revision)").
func (m *masks) key(o object.Rendered, secret, revision []*object.Rendered) object.Key {
	apiVersion, kind, _, _ := o.Key.Parts()
	renamed, missing := m.brace.finds(string(o.Key)), m.hidden[o.Source]
	for _, p := range secret {
		missing = missing || p == nil
		renamed = renamed || p != nil && p.Key != o.Key
	}
	if missing {
		apiVersion, _ = m.kind(apiVersion).(string)
		kind, _ = m.kind(kind).(string)
	}
	if renamed || missing {
		return object.Key(apiVersion + "/" + kind + "/" + object.MaskSecret)
	}
	if len(revision) > 0 && revision[0] != nil && revision[0].Key != o.Key {
		before, after := differing(string(o.Key), string(revision[0].Key))
		return object.Key(before + object.MaskRevision + after)
	}
	return o.Key
}

// differing is what two texts begin and end with in common.
func differing(a, b string) (before, after string) {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	j := 0
	for j < len(a)-i && j < len(b)-i && a[len(a)-1-j] == b[len(b)-1-j] {
		j++
	}
	return a[:i], a[len(a)-j:]
}

// notes masks the lines of NOTES.txt that depend on secrets or the revision.
func (m *masks) notes(scrub *redact.Secrets) string {
	lines := strings.Split(m.raw.Notes, "\n")
	mask := func(others []*Raw, with string) {
		for _, other := range others {
			theirs := strings.Split(other.Notes, "\n")
			if len(theirs) != len(lines) {
				lines = []string{with}
				return
			}
			for i := range lines {
				if theirs[i] != lines[i] && lines[i] != object.MaskSecret {
					lines[i] = with
				}
			}
		}
	}
	mask(m.secret, object.MaskSecret)
	if m.skeleton != nil {
		mask([]*Raw{m.skeleton}, object.MaskSecret)
	}
	for name := range m.hidden {
		if strings.HasSuffix(name, purity.NotesFile) {
			return object.MaskSecret
		}
	}
	if len(lines) > 1 || lines[0] != object.MaskSecret {
		mask(m.revision, object.MaskRevision)
	}
	for i, line := range lines {
		if m.brace.finds(line) {
			lines[i] = object.MaskSecret
		}
	}
	return scrub.Text(strings.Join(lines, "\n"))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Drift is one leaf in which a live object differs from the repaired object.
type Drift struct {
	// Path is that of Change. Where a part of the object is masked as a whole, it ends there.
	Path string
	// Live and Restored are nil where the leaf is missing. Both are MaskSecret where either may be a secret; a leaf that is
	// missing stays nil.
	Live, Restored any

	at treePath
}

// Drifts compares a live object with the object after a repair, as an API server or a patch computes it. Fields that the cluster
// itself writes (status, generation, field managers) are left out, as are the order of named list elements and other spellings of
// the same quantity. shown is the object as it may be shown: a leaf that is a mask there is masked,
// and so is the data of Secrets. Leaves that ignored accepts are left out; it may be nil.
func Drifts(live, restored, shown map[string]any, ignored func(Drift) bool) []Drift {
	secret := live["kind"] == "Secret" && live["apiVersion"] == "v1"
	var out []Drift
	for _, e := range compare(nil, ownFields(live), ownFields(restored), nil) {
		for _, leaf := range leavesOf(e) {
			if leaf.isOrder() || SameValue(leaf.before, leaf.after) || leaf.isEmpty() {
				continue
			}
			d := Drift{Path: leaf.path.String(), Live: present(leaf.before), Restored: present(leaf.after), at: leaf.path}
			if ignored != nil && ignored(d) {
				continue
			}
			above, hidden := masked(shown, leaf.path)
			if hidden || secret && isSecretData(leaf.path) {
				d.Live, d.Restored = maskPresent(d.Live), maskPresent(d.Restored)
			}
			if hidden {
				d.Path = leaf.path[:above].String()
			}
			out = append(out, d)
		}
	}
	return out
}

// ownFields is an object without the fields that only the cluster writes.
func ownFields(o map[string]any) map[string]any {
	out := maps.Clone(o)
	delete(out, "status")
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		return out
	}
	kept := map[string]any{}
	for _, field := range []string{"labels", "annotations", "finalizers", "ownerReferences"} {
		if v, there := metadata[field]; there {
			kept[field] = v
		}
	}
	out["metadata"] = kept
	return out
}

// leavesOf splits a subtree that only one side has, so that each leaf is masked or ignored separately.
func leavesOf(e edit) []edit {
	one, added := e.before, false
	if e.before == (absent{}) {
		one, added = e.after, true
	} else if e.after != (absent{}) {
		return []edit{e}
	}
	side := func(path treePath, v any) []edit {
		if added {
			return leavesOf(edit{path, absent{}, v})
		}
		return leavesOf(edit{path, v, absent{}})
	}
	var out []edit
	switch subtree := one.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(subtree)) {
			out = append(out, side(e.path.to(key), subtree[key])...)
		}
	case []any:
		identity := identityOf(subtree, nil)
		for i, element := range subtree {
			name := strconv.Itoa(i)
			if identity != nil {
				name = identity(element)
			}
			out = append(out, side(e.path.element(name), element)...)
		}
	}
	if len(out) == 0 {
		return []edit{e}
	}
	return out
}

func sortedTexts(list []any) []any {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	slices.Sort(texts)
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

func present(v any) any {
	if v == (absent{}) {
		return nil
	}
	return v
}

func maskPresent(v any) any {
	if v == nil {
		return nil
	}
	return MaskSecret
}

func isSecretData(path treePath) bool {
	return len(path) > 0 && slices.Contains([]string{"data", "stringData", "binaryData"}, path[0].name)
}

// SameValue compares two values. Two spellings of one quantity are the same: the API server writes 1000m as 1.
func SameValue(a, b any) bool {
	if equal(a, b) {
		return true
	}
	one, ok := quantity(a)
	other, ok2 := quantity(b)
	return ok && ok2 && one.Cmp(other) == 0
}

func quantity(v any) (resource.Quantity, bool) {
	switch v.(type) {
	case string, int64, float64, fmt.Stringer: // a json.Number is a Stringer
		q, err := resource.ParseQuantity(fmt.Sprint(v))
		return q, err == nil
	}
	return resource.Quantity{}, false
}

// masked reports that a path of a shown object is masked or below a mask, and how much of the path leads to the mask: what is below it
// may be made of secrets too. An element that a list with masks does not have may be one whose name is masked.
func masked(shown map[string]any, path treePath) (above int, hidden bool) {
	var at any = shown
	for i, step := range path {
		if at == MaskSecret {
			return i, true
		}
		next := child(at, step)
		if next == nil && step.element && HasMask(at, MaskSecret) {
			return i, true
		}
		at = next
	}
	return len(path), HasMask(at, MaskSecret)
}

// child follows one step of a path; nil if there is nothing.
func child(v any, step part) any {
	if !step.element {
		table, _ := v.(map[string]any)
		return table[step.name]
	}
	list, _ := v.([]any)
	if i := elementIndex(list, step.name); i >= 0 {
		return list[i]
	}
	return nil
}

// elementIndex finds an element by the name that compare gives it, else by its index.
func elementIndex(list []any, name string) int {
	for _, fields := range identities {
		if i := slices.IndexFunc(list, func(element any) bool { return identify(element, fields) == name }); i >= 0 {
			return i
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(list) {
		return i
	}
	return -1
}

// FillMasks returns a copy of a shown object whose masks are replaced by the live values, so that they compare as equal. whole is
// false if live has no plain value for a mask; that mask stays.
func FillMasks(shown, live map[string]any) (filled map[string]any, whole bool) {
	whole = true
	var fill func(shown, live any) any
	fill = func(shown, live any) any {
		switch shown := shown.(type) {
		case string:
			if shown != MaskSecret && shown != MaskRevision {
				return shown
			}
			switch live.(type) {
			case nil, map[string]any, []any:
				whole = false
				return shown
			}
			return live
		case map[string]any:
			other, _ := live.(map[string]any)
			out := make(map[string]any, len(shown))
			for key, v := range shown {
				out[key] = fill(v, other[key])
			}
			return out
		case []any:
			other, _ := live.([]any)
			identity := identityOf(shown, other)
			out := make([]any, len(shown))
			for i, v := range shown {
				name := strconv.Itoa(i)
				if identity != nil {
					name = identity(v)
				}
				out[i] = fill(v, child(other, part{name: name, element: true}))
			}
			return out
		}
		return shown
	}
	filled, _ = fill(shown, live).(map[string]any)
	return filled, whole
}

// Keep sets target at the path of a drift to the live value, so that a patch toward target does not change it.
func (d Drift) Keep(target, live map[string]any) {
	keep(target, live, d.at)
}

func keep(target, live any, path treePath) {
	if len(path) == 0 {
		return
	}
	step := path[0]
	there := child(live, step)
	switch container := target.(type) {
	case map[string]any:
		if len(path) > 1 {
			if _, has := container[step.name]; has {
				keep(container[step.name], there, path[1:])
			}
			return
		}
		if there == nil {
			delete(container, step.name)
		} else {
			container[step.name] = there
		}
	case []any:
		i := elementIndex(container, step.name)
		if i < 0 {
			return
		}
		if len(path) > 1 {
			keep(container[i], there, path[1:])
		} else if there != nil {
			container[i] = there
		}
	}
}

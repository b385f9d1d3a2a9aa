// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// overwriteSearch looks for the leaves of one object that the apply would overwrite.
type overwriteSearch struct {
	run   *run
	key   object.Key
	found []Overwrite
}

// all lists the leaves that others changed in the cluster since the deployed revision was rendered, and that
// the apply would change again. A leaf that base does not set is none of the release's: what the apply does to it is in the
// rendering's own difference. What a failed revision has written is no change of others.
func (w *overwriteSearch) all(base, live, result map[string]any) ([]Overwrite, error) {
	masks := []any{}
	for _, text := range []string{w.run.previous[w.key], w.run.next.Objects[w.key]} {
		if text == "" {
			continue
		}
		shown, err := object.DecodeNumbers(text)
		if err != nil {
			return nil, err
		}
		masks = append(masks, shown)
	}
	if w.run.Outside && w.run.previous[w.key] != "" {
		rendered, err := object.DecodeNumbers(w.run.previous[w.key])
		if err != nil {
			return nil, err
		}
		base = rendered
	}
	masks = append(masks, object.MaskSecretData(base))
	attempts := w.run.attemptsAt(live)
	for _, field := range slices.Sorted(maps.Keys(base)) {
		switch field {
		case "apiVersion", "kind", "status":
		case "metadata":
			for _, part := range []string{"labels", "annotations"} {
				w.compare("metadata."+part, inMap(inMap(base, field), part), inMap(inMap(live, field), part), inMap(inMap(result, field), part),
					below(below(masks, field), part), below(below(attempts, field), part))
			}
		default:
			w.compare(field, base[field], live[field], result[field], below(masks, field), below(attempts, field))
		}
	}
	return w.found, nil
}

// compare compares one place of base, live and result. masks are what may be shown of the place, attempts what failed revisions wrote
// there.
func (w *overwriteSearch) compare(path string, base, live, result any, masks, attempts []any) {
	switch base := base.(type) {
	case nil:
		return
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(base)) {
			w.compare(path+fieldPath(k), base[k], inMap(live, k), inMap(result, k), below(masks, k), below(attempts, k))
		}
		return
	case []any:
		if merge := mergeKey(base); merge != "" {
			for _, item := range base {
				id := inMap(item, merge)
				w.compare(fmt.Sprintf("%s[%s=%v]", path, merge, id), item, inList(live, merge, id), inList(result, merge, id),
					belowItem(masks, merge, id), belowItem(attempts, merge, id))
			}
			return
		}
	}
	if object.SameValue(live, result) || object.SameValue(base, live) || base == object.MaskRevision ||
		slices.ContainsFunc(attempts, func(written any) bool { return object.SameValue(written, live) }) {
		return
	}
	if slices.ContainsFunc(masks, func(m any) bool { return object.HasMask(m, object.MaskSecret) }) {
		w.add(path, object.MaskSecret, object.MaskSecret)
		return
	}
	w.add(path, w.run.next.Secrets.Text(object.LeafText(live)), w.run.next.Secrets.Text(object.LeafText(result)))
}

func (w *overwriteSearch) add(path, live, target string) {
	w.found = append(w.found, Overwrite{Object: w.key, Path: path, Live: live, Target: target})
}

func inMap(v any, key string) any {
	m, _ := v.(map[string]any)
	return m[key]
}

func inList(v any, key string, id any) any {
	list, _ := v.([]any)
	for _, item := range list {
		if object.SameValue(inMap(item, key), id) {
			return item
		}
	}
	return nil
}

// below goes one field down in all masks; a mask covers everything below it.
func below(masks []any, key string) []any {
	out := make([]any, 0, len(masks))
	for _, m := range masks {
		if m == object.MaskSecret {
			out = append(out, m)
		} else {
			out = append(out, inMap(m, key))
		}
	}
	return out
}

func belowItem(masks []any, key string, id any) []any {
	out := make([]any, 0, len(masks))
	for _, m := range masks {
		if m == object.MaskSecret {
			out = append(out, m)
		} else {
			out = append(out, inList(m, key, id))
		}
	}
	return out
}

// mergeKey is the field that distinguishes the items of a list, as Kubernetes merges them; empty where none does.
func mergeKey(list []any) string {
	for _, key := range []string{"name", "mountPath", "containerPort", "port", "ip", "topologyKey", "type"} {
		seen := map[string]bool{}
		for _, item := range list {
			id := inMap(item, key)
			if id == nil || seen[fmt.Sprint(id)] {
				break
			}
			seen[fmt.Sprint(id)] = true
		}
		if len(list) > 0 && len(seen) == len(list) {
			return key
		}
	}
	return ""
}

func fieldPath(key string) string {
	for _, r := range key {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return "[" + strconv.Quote(key) + "]"
		}
	}
	return "." + key
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxLinesPerObject is the limit of lines for one object; the last line counts the rest.
	maxLinesPerObject = 12
	// commonObjects is the number of objects in which a label or annotation must change in the same way to be reported only once.
	commonObjects = 3
)

// Summary describes the difference of two object sets in words, sorted by key, for reviewers:
//
//	Deployment/data-collection-service: image v1.1.1 → v1.2.0
//	Deployment/data-collection-service: replicas 2 → 3
//	ConfigMap/data-collection-service: data.LOG_LEVEL "info" → "debug"
//	HorizontalPodAutoscaler/data-collection-service: maxReplicas 20 → 50
//	Secret/data-collection-service: data.apiToken set to (sensitive value)
//	Job/seed: added
//	Service/old: removed
//	5 objects: label helm.sh/chart data-collection-service-0.1.0 → data-collection-service-0.2.0
//
// Containers, env, ports and volumes are matched by name, not by index. Objects whose name ends in a hash of their content
// are matched with the one that they replace. Long values are cut. There are at most maxLinesPerObject lines for an object
// ("… and 12 more changes"). Labels and annotations that change in the same way in several objects are reported once, at the
// end.
func Summary(before, after map[Key]string) []string {
	changed := changedObjects(before, after)
	common := takeCommon(changed)
	var lines []string
	for _, c := range changed {
		for _, text := range c.lines() {
			lines = append(lines, c.label+": "+text)
		}
	}
	return append(lines, common...)
}

// changedObject is an object that one side does not have, or that differs.
type changedObject struct {
	key    Key
	label  string
	status string // "added", "removed", "changed" without details, or ""
	words  words
	edits  []edit
}

func changedObjects(before, after map[Key]string) []*changedObject {
	replaced := replacements(before, after)
	var changed []*changedObject
	keys := maps.Clone(before)
	if keys == nil {
		keys = map[Key]string{}
	}
	maps.Copy(keys, after)
	gone := map[Key]bool{}
	for _, old := range replaced {
		gone[old] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		old, was := before[key]
		now, is := after[key]
		predecessor, isReplacement := replaced[key]
		switch {
		case gone[key]:
		case isReplacement:
			changed = append(changed, newReplacement(predecessor, key, before[predecessor], now))
		case !was:
			changed = append(changed, &changedObject{key: key, label: key.Short(), status: "added"})
		case !is:
			changed = append(changed, &changedObject{key: key, label: key.Short(), status: "removed"})
		case old != now:
			changed = append(changed, newChange(key, old, now))
		}
	}
	return changed
}

func newChange(key Key, old, now string) *changedObject {
	c := &changedObject{key: key, label: key.Short()}
	before, errBefore := decodeObject(old)
	after, errAfter := decodeObject(now)
	if errBefore != nil || errAfter != nil {
		c.status = "changed"
		return c
	}
	c.words = newWords(before, after)
	c.edits = compare(nil, before, after, c.words.isWhole)
	if len(c.edits) == 0 {
		c.status = "changed"
	}
	return c
}

// newReplacement describes an object that replaces another one with a different name or API version.
func newReplacement(oldKey, key Key, old, now string) *changedObject {
	c := newChange(key, old, now)
	oldVersion, _, _, oldName := oldKey.Parts()
	version, _, _, name := key.Parts()
	if oldName != name {
		c.label = oldKey.Short() + " → " + name
	}
	c.edits = slices.DeleteFunc(c.edits, func(e edit) bool {
		at := e.path.String()
		return at == "metadata.name" && oldName != name || at == "apiVersion" && oldVersion == version
	})
	if len(c.edits) == 0 {
		c.status = "replaced, with the same content"
	}
	return c
}

func decodeObject(text string) (map[string]any, error) {
	decoded, err := decodeJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	o, ok := decoded.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it is %s, not an object", describeKind(decoded))
	}
	return o, nil
}

var hashSuffix = regexp.MustCompile(`-([0-9a-f]{6,64}|[bcdfghjklmnpqrstvwxz2456789]{8,10})$`)

// replacements pairs added objects with removed ones: of the same kind and name in another API version, or with names that differ in
// a hash at the end. Ambiguous objects are not paired.
func replacements(before, after map[Key]string) map[Key]Key {
	going, coming := map[string][]Key{}, map[string][]Key{}
	for key := range before {
		if _, stays := after[key]; !stays {
			for _, form := range replaceableForms(key) {
				going[form] = append(going[form], key)
			}
		}
	}
	for key := range after {
		if _, was := before[key]; !was {
			for _, form := range replaceableForms(key) {
				coming[form] = append(coming[form], key)
			}
		}
	}
	pairs := map[Key]Key{}
	for form, keys := range coming {
		if len(keys) == 1 && len(going[form]) == 1 {
			pairs[keys[0]] = going[form][0]
		}
	}
	return pairs
}

func replaceableForms(key Key) []string {
	apiVersion, kind, namespace, name := key.Parts()
	if kind == "" {
		return nil
	}
	group, _, _ := strings.Cut(apiVersion, "/")
	if !strings.Contains(apiVersion, "/") {
		group = ""
	}
	if stem := hashSuffix.ReplaceAllString(name, ""); stem != name && regexp.MustCompile(`[0-9]`).MatchString(strings.TrimPrefix(name, stem)) {
		return []string{fmt.Sprintf("hash %s %s %s %s", apiVersion, kind, namespace, stem)}
	}
	return []string{fmt.Sprintf("version %s %s %s %s", group, kind, namespace, name)}
}

// takeCommon removes changes of labels and annotations that many objects share from the objects, and returns one line for each.
func takeCommon(changed []*changedObject) []string {
	text := func(c *changedObject, e edit) string {
		if len(e.path) != 3 || e.path[0].name != "metadata" || e.path[1].name != "labels" && e.path[1].name != "annotations" {
			return ""
		}
		return c.words.describe(e)
	}
	count := map[string]int{}
	for _, c := range changed {
		for _, e := range c.edits {
			if t := text(c, e); t != "" {
				count[t]++
			}
		}
	}
	for _, c := range changed {
		c.edits = slices.DeleteFunc(c.edits, func(e edit) bool { return count[text(c, e)] >= commonObjects && text(c, e) != "" })
	}
	var lines []string
	for _, t := range slices.Sorted(maps.Keys(count)) {
		if count[t] >= commonObjects {
			lines = append(lines, fmt.Sprintf("%d objects: %s", count[t], t))
		}
	}
	return lines
}

// lines describes the changes of one object, the most important first.
func (c *changedObject) lines() []string {
	if c.status != "" {
		return []string{c.status}
	}
	edits := slices.Clone(c.edits)
	slices.SortStableFunc(edits, func(a, b edit) int { return c.words.weight(a) - c.words.weight(b) })
	var lines []string
	for _, e := range edits {
		if line := c.words.describe(e); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if rest := len(lines) - maxLinesPerObject + 1; rest > 1 {
		lines = append(lines[:maxLinesPerObject-1], fmt.Sprintf("… and %d more changes", rest))
	}
	return lines
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// subset is a named part of a host's pods.
type subset struct {
	name   string
	labels map[string]string
}

// subsets are those of one host that a split needs, wherever they are defined: Istio puts those of several DestinationRules of a
// namespace together.
type subsets struct {
	*router
	host string
	// name is that of the DestinationRule that gets what is missing.
	name   string
	wanted []subset

	read  bool
	rules []unstructured.Unstructured
}

func (s *subsets) load(ctx context.Context) error {
	rules, err := s.all(ctx, destinationRules)
	if err != nil {
		return err
	}
	s.rules, s.read = rules, true
	return nil
}

// concerns reports that a DestinationRule is for our host, and for all who call it.
func (s *subsets) concerns(rule *unstructured.Unstructured) bool {
	spec, _ := rule.Object["spec"].(map[string]any)
	host, _ := spec["host"].(string)
	namespace := s.owner.Handle.Namespace
	return fullHost(host, namespace) == fullHost(s.host, namespace) && spec["workloadSelector"] == nil
}

func subsetsOf(rule *unstructured.Unstructured) []map[string]any {
	spec, _ := rule.Object["spec"].(map[string]any)
	return objectsIn(spec["subsets"])
}

// mayChange reports that a subset is ours: in a DestinationRule of our own, or added by us.
func (s *subsets) mayChange(rule *unstructured.Unstructured, name string) bool {
	if s.owner.owns(rule) {
		return true
	}
	all, err := readAnnotations(rule)
	return err == nil && slices.Contains(all[s.owner.Name].Subsets, name)
}

// missing are the subsets to be added to the DestinationRule of our name, and wrong the rules in which one of ours has other labels.
// Errors: *SubsetError.
func (s *subsets) compare() (missing []subset, wrong []*unstructured.Unstructured, err error) {
	for _, want := range s.wanted {
		found := false
		for i := range s.rules {
			rule := &s.rules[i]
			at := findSubset(rule, want.name)
			if at < 0 || !s.concerns(rule) {
				continue
			}
			found = true
			live := labelsOf(subsetsOf(rule)[at])
			switch {
			case maps.Equal(live, want.labels):
			case s.mayChange(rule, want.name):
				if !slices.Contains(wrong, rule) {
					wrong = append(wrong, rule)
				}
			default:
				return nil, nil, &SubsetError{
					Subset: want.name, Host: s.host, Object: destinationRules.name + " " + rule.GetName(),
					Labels: labelText(live), Want: labelText(want.labels),
				}
			}
		}
		if !found {
			missing = append(missing, want)
		}
	}
	return missing, wrong, nil
}

func findSubset(rule *unstructured.Unstructured, name string) int {
	return slices.IndexFunc(subsetsOf(rule), func(entry map[string]any) bool { return entry["name"] == name })
}

func labelsOf(entry map[string]any) map[string]string {
	out := map[string]string{}
	labels, _ := entry["labels"].(map[string]any)
	for key, value := range labels {
		out[key], _ = value.(string)
	}
	return out
}

func labelText(labels map[string]string) string {
	if len(labels) == 0 {
		return "none"
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, key+"="+labels[key])
	}
	return strings.Join(out, ", ")
}

// changed says in words how our subsets are not as they should be.
func (s *subsets) changed() []string {
	missing, wrong, err := s.compare()
	if err != nil {
		return []string{strings.TrimSuffix(firstSentence(err), ".")}
	}
	var changed []string
	for _, subset := range missing {
		changed = append(changed, fmt.Sprintf("subset %s of host %s does not exist", subset.name, s.host))
	}
	for _, rule := range wrong {
		changed = append(changed, fmt.Sprintf("the subsets in DestinationRule %s have other labels than the tracks", rule.GetName()))
	}
	return changed
}

func firstSentence(err error) string {
	if explained, ok := err.(interface {
		Explain() (happened, observed, advice string)
	}); ok {
		happened, _, _ := explained.Explain()
		return happened
	}
	return err.Error()
}

// ensure makes the subsets that are missing and repairs those that are ours; it reports whether anything was written.
func (s *subsets) ensure(ctx context.Context) (written bool, err error) {
	if !s.read {
		if err := s.load(ctx); err != nil {
			return false, err
		}
	}
	missing, wrong, err := s.compare()
	if err != nil {
		return false, err
	}
	target, err := s.target()
	if err != nil {
		return false, err
	}
	if len(missing) == 0 && len(wrong) == 0 {
		return false, nil
	}
	if err := s.guard(ctx); err != nil {
		return false, err
	}
	if len(missing) > 0 && target == nil {
		if err := s.make(ctx, missing); err != nil {
			return false, err
		}
	} else if len(missing) > 0 && !slices.Contains(wrong, target) {
		wrong = append(wrong, target)
	}
	for _, rule := range wrong {
		var add []subset
		if target != nil && rule.GetName() == target.GetName() {
			add = missing
		}
		if _, err := s.change(ctx, destinationRules, rule, s.sameSubsets, func(live *unstructured.Unstructured) (*patch, []operation, error) {
			return s.merge(live, add)
		}); err != nil {
			return false, err
		}
	}
	return true, s.load(ctx)
}

// target is the DestinationRule that gets what is missing, nil where it is still to be made. Errors: *ForeignError where it is for
// another host.
func (s *subsets) target() (*unstructured.Unstructured, error) {
	for i := range s.rules {
		rule := &s.rules[i]
		if rule.GetName() != s.name {
			continue
		}
		if !s.concerns(rule) {
			return nil, &ForeignError{Object: destinationRules.name + " " + s.name, Whose: whose(rule)}
		}
		return rule, nil
	}
	return nil, nil
}

func (s *subsets) make(ctx context.Context, missing []subset) error {
	entries := make([]any, 0, len(missing))
	for _, subset := range missing {
		entries = append(entries, subset.entry())
	}
	_, err := s.create(ctx, destinationRules, s.name, s.owner, nil, map[string]any{"host": s.host, "subsets": entries})
	return err
}

func (s subset) entry() map[string]any {
	labels := map[string]any{}
	for key, value := range s.labels {
		labels[key] = value
	}
	return map[string]any{"name": s.name, "labels": labels}
}

// sameSubsets reports that two readings of a DestinationRule agree in host, in our subsets, and in whose they are.
func (s *subsets) sameSubsets(a, b *unstructured.Unstructured) bool {
	if a.GetUID() != b.GetUID() || s.concerns(a) != s.concerns(b) {
		return false
	}
	for _, want := range s.wanted {
		one, other := findSubset(a, want.name), findSubset(b, want.name)
		if (one < 0) != (other < 0) || s.mayChange(a, want.name) != s.mayChange(b, want.name) {
			return false
		}
		if one >= 0 && !maps.Equal(labelsOf(subsetsOf(a)[one]), labelsOf(subsetsOf(b)[other])) {
			return false
		}
	}
	return true
}

// merge is the patch that adds subsets to a DestinationRule and repairs the labels of ours in it. All else in it stays.
func (s *subsets) merge(live *unstructured.Unstructured, add []subset) (*patch, []operation, error) {
	p := newPatch(live)
	var tests []operation
	for _, want := range s.wanted {
		at := findSubset(live, want.name)
		if at >= 0 && s.mayChange(live, want.name) && !maps.Equal(labelsOf(subsetsOf(live)[at]), want.labels) {
			path := "/spec/subsets/" + strconv.Itoa(at)
			tests = append(tests, operation{Op: "test", Path: path + "/name", Value: want.name})
			p.add(path+"/labels", want.entry()["labels"])
		}
	}
	spec, _ := live.Object["spec"].(map[string]any)
	if len(add) > 0 && spec["subsets"] == nil {
		p.add("/spec/subsets", []any{})
	}
	for _, subset := range add {
		p.add("/spec/subsets/-", subset.entry())
	}
	if s.owner.owns(live) || len(add) == 0 {
		return p, tests, nil
	}
	all, err := readAnnotations(live)
	if err != nil {
		return nil, nil, err
	}
	m := annotation{Client: s.owner.Handle.Client, Stage: s.owner.Handle.Stage, Instance: s.owner.InstanceID,
		Subsets: all[s.owner.Name].Subsets}
	for _, subset := range add {
		if !slices.Contains(m.Subsets, subset.name) {
			m.Subsets = append(m.Subsets, subset.name)
		}
	}
	return p, tests, s.writeAnnotation(p, &m)
}

// any reports that subsets of ours are there.
func (s *subsets) any() bool {
	return slices.ContainsFunc(s.rules, func(rule unstructured.Unstructured) bool { return len(s.ours(&rule)) > 0 || s.owner.owns(&rule) })
}

// ours are the names of the subsets in a DestinationRule that are ours.
func (s *subsets) ours(rule *unstructured.Unstructured) []string {
	var out []string
	for _, want := range s.wanted {
		if findSubset(rule, want.name) >= 0 && s.mayChange(rule, want.name) {
			out = append(out, want.name)
		}
	}
	return out
}

// drop takes away our subsets that no VirtualService of the namespace refers to, and the DestinationRule if it is ours and has no others.
func (s *subsets) drop(ctx context.Context) error {
	services, err := s.all(ctx, virtualServices)
	if err != nil {
		return err
	}
	for i := range s.rules {
		rule := &s.rules[i]
		names := slices.DeleteFunc(s.ours(rule), func(name string) bool { return s.referred(services, name) })
		own := s.owner.owns(rule)
		switch {
		case own && len(names) == len(subsetsOf(rule)):
			err = s.remove(ctx, destinationRules, rule)
		case len(names) > 0:
			_, err = s.change(ctx, destinationRules, rule, s.sameSubsets, func(live *unstructured.Unstructured) (*patch, []operation, error) {
				return s.takeAway(live, names)
			})
		}
		if err != nil {
			return err
		}
	}
	s.read = false
	return nil
}

// takeAway is the patch that removes subsets from a DestinationRule.
func (s *subsets) takeAway(live *unstructured.Unstructured, names []string) (*patch, []operation, error) {
	p := newPatch(live)
	var tests []operation
	for at := len(subsetsOf(live)) - 1; at >= 0; at-- {
		name, _ := subsetsOf(live)[at]["name"].(string)
		if slices.Contains(names, name) {
			path := "/spec/subsets/" + strconv.Itoa(at)
			tests = append(tests, operation{Op: "test", Path: path + "/name", Value: name})
			p.remove(path)
		}
	}
	all, err := readAnnotations(live)
	if err != nil {
		return nil, nil, err
	}
	m, annotated := all[s.owner.Name]
	if !annotated {
		return p, tests, nil
	}
	m.Subsets = slices.DeleteFunc(slices.Clone(m.Subsets), func(name string) bool { return slices.Contains(names, name) })
	if len(m.Subsets) == 0 {
		return p, tests, s.writeAnnotation(p, nil)
	}
	return p, tests, s.writeAnnotation(p, &m)
}

// referred reports that a VirtualService leads to a subset of our host, in whatever part of it.
func (s *subsets) referred(services []unstructured.Unstructured, name string) bool {
	namespace := s.owner.Handle.Namespace
	return slices.ContainsFunc(services, func(service unstructured.Unstructured) bool {
		return anyObject(service.Object["spec"], func(object map[string]any) bool {
			host, _ := object["host"].(string)
			return object["subset"] == name && fullHost(host, namespace) == fullHost(s.host, namespace)
		})
	})
}

// anyObject reports that one of the JSON objects in a value is as asked.
func anyObject(value any, is func(map[string]any) bool) bool {
	switch typed := value.(type) {
	case map[string]any:
		if is(typed) {
			return true
		}
		for _, entry := range typed {
			if anyObject(entry, is) {
				return true
			}
		}
	case []any:
		for _, entry := range typed {
			if anyObject(entry, is) {
				return true
			}
		}
	}
	return false
}

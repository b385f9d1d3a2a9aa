// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// istio is how a VirtualService says it.
type istio struct {
	host, namespace string
	// subsets are those of the tracks.
	stable, canary string
}

func (istio) list() string         { return "http" }
func (istio) destinations() string { return "route" }
func (istio) matches() string      { return "match" }
func (istio) word() string         { return "route" }
func (istio) mostBlocks() int      { return 0 }

func (istio) unfit(route map[string]any) string {
	for _, field := range []string{"redirect", "directResponse", "delegate"} {
		if route[field] != nil {
			return fmt.Sprintf("It has a %s, and sends no requests on.", field)
		}
	}
	return ""
}

func (d istio) role(destination map[string]any) role {
	to, _ := destination["destination"].(map[string]any)
	host, _ := to["host"].(string)
	if fullHost(host, d.namespace) != fullHost(d.host, d.namespace) {
		return toOther
	}
	switch subset, _ := to["subset"].(string); subset {
	case d.stable:
		return toStable
	case d.canary:
		return toCanary
	default:
		return toWhole
	}
}

// fullHost is what Istio takes a host in a namespace's object for: only a name without a dot is completed. The cluster's domain is left
// off, since it may have any name.
func fullHost(host, namespace string) string {
	host = strings.TrimSuffix(host, ".")
	if !strings.Contains(host, ".") {
		return host + "." + namespace + ".svc"
	}
	if service, _, found := strings.Cut(host, ".svc."); found {
		return service + ".svc"
	}
	return host
}

func (istio) weight(destination map[string]any, count int) int64 {
	weight, given := number(destination["weight"])
	if !given && count == 1 {
		return 100
	}
	return weight
}

func (d istio) destination(template map[string]any, to role, weight int64) map[string]any {
	out := runtime.DeepCopyJSON(template)
	delete(out, "weight")
	if weight >= 0 {
		out["weight"] = weight
	}
	target, ok := out["destination"].(map[string]any)
	if !ok {
		target = map[string]any{"host": d.host}
		out["destination"] = target
	}
	target["subset"] = d.stable
	if to == toCanary {
		target["subset"] = d.canary
	}
	return out
}

func (istio) unlimited() map[string]any { return map[string]any{} }

func (istio) withHeader(block map[string]any, header HeaderMatch) (map[string]any, bool, error) {
	out := runtime.DeepCopyJSON(block)
	if excluded, ok := headerEntry(out["withoutHeaders"], header.Name); ok {
		matches, err := matchesValue(excluded, header)
		if err != nil || matches {
			return nil, false, err
		}
	}
	demanded, ok := headerEntry(out["headers"], header.Name)
	if ok {
		matches, err := matchesValue(demanded, header)
		if err != nil || !matches {
			return nil, false, err
		}
	}
	headers, _ := out["headers"].(map[string]any)
	if headers == nil {
		headers = map[string]any{}
		out["headers"] = headers
	}
	for name := range headers {
		if strings.EqualFold(name, header.Name) {
			delete(headers, name)
		}
	}
	headers[header.Name] = map[string]any{"exact": header.Value}
	return out, true, nil
}

func headerEntry(headers any, name string) (map[string]any, bool) {
	entries, _ := headers.(map[string]any)
	for key, value := range entries {
		if strings.EqualFold(key, name) {
			match, _ := value.(map[string]any)
			return match, true
		}
	}
	return nil, false
}

// matchesValue reports that a StringMatch of Istio accepts the header's value. An empty one asks only that the header is there.
func matchesValue(match map[string]any, header HeaderMatch) (bool, error) {
	if exact, ok := match["exact"].(string); ok {
		return exact == header.Value, nil
	}
	if prefix, ok := match["prefix"].(string); ok {
		return strings.HasPrefix(header.Value, prefix), nil
	}
	if len(match) == 0 {
		return true, nil
	}
	return false, fmt.Errorf("the route matches the same header by another rule than an exact value or a prefix; Istio takes one " +
		"rule for a header")
}

func (istio) headersOf(block map[string]any) []HeaderMatch {
	entries, _ := block["headers"].(map[string]any)
	var out []HeaderMatch
	for name, value := range entries {
		match, _ := value.(map[string]any)
		if exact, ok := match["exact"].(string); ok {
			out = append(out, HeaderMatch{Name: name, Value: exact})
		}
	}
	return sortedHeaders(out)
}

// number reads an integer of a JSON object.
func number(value any) (int64, bool) {
	switch n := value.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}

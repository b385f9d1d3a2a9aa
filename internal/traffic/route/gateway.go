// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// gateway is how an HTTPRoute says it.
type gateway struct {
	namespace      string
	stable, canary Track
}

const (
	// The Gateway API's own bounds.
	mostMatchesOfRule  = 64
	mostHeadersOfMatch = 16
)

func (gateway) list() string         { return "rules" }
func (gateway) destinations() string { return "backendRefs" }
func (gateway) matches() string      { return "matches" }
func (gateway) word() string         { return "rule" }
func (gateway) mostBlocks() int      { return mostMatchesOfRule }

func (gateway) unfit(route map[string]any) string {
	for _, filter := range objectsIn(route["filters"]) {
		if filter["type"] == "RequestRedirect" {
			return "It redirects, and sends no requests on."
		}
	}
	return ""
}

func (d gateway) role(destination map[string]any) role {
	kind, _ := destination["kind"].(string)
	group, _ := destination["group"].(string)
	name, _ := destination["name"].(string)
	namespace, _ := destination["namespace"].(string)
	switch {
	case kind != "" && kind != "Service", group != "" && group != "core", namespace != "" && namespace != d.namespace:
		return toOther
	case name == d.canary.Service:
		return toCanary
	case name == d.stable.Service:
		return toStable
	}
	return toWhole
}

func (gateway) weight(destination map[string]any, _ int) int64 {
	weight, given := number(destination["weight"])
	if !given {
		return 1
	}
	return weight
}

// destination writes out what the API server would fill in, so that what is read back is what was written.
func (d gateway) destination(template map[string]any, to role, weight int64) map[string]any {
	out := runtime.DeepCopyJSON(template)
	track := d.stable
	if to == toCanary {
		track = d.canary
	}
	out["group"], out["kind"], out["name"] = "", "Service", track.Service
	if track.Port != 0 {
		out["port"] = int64(track.Port)
	}
	out["weight"] = int64(1)
	if weight >= 0 {
		out["weight"] = weight
	}
	return out
}

func (gateway) unlimited() map[string]any {
	return map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}
}

func (gateway) withHeader(block map[string]any, header HeaderMatch) (map[string]any, bool, error) {
	out := runtime.DeepCopyJSON(block)
	headers := objectsIn(out["headers"])
	for _, demanded := range headers {
		name, _ := demanded["name"].(string)
		if !strings.EqualFold(name, header.Name) {
			continue
		}
		if kind, _ := demanded["type"].(string); kind != "" && kind != "Exact" {
			return nil, false, errors.New("the rule matches the same header by a regular expression; the Gateway API takes one match for a header")
		}
		return out, demanded["value"] == header.Value, nil
	}
	if len(headers) >= mostHeadersOfMatch {
		return nil, false, fmt.Errorf("the rule matches %d headers already, which is all that the Gateway API allows", len(headers))
	}
	out["headers"] = append(list(headers), map[string]any{"name": header.Name, "type": "Exact", "value": header.Value})
	return out, true, nil
}

func (gateway) headersOf(block map[string]any) []HeaderMatch {
	var out []HeaderMatch
	for _, match := range objectsIn(block["headers"]) {
		name, _ := match["name"].(string)
		value, _ := match["value"].(string)
		if kind, _ := match["type"].(string); kind == "" || kind == "Exact" {
			out = append(out, HeaderMatch{Name: name, Value: value})
		}
	}
	return sortedHeaders(out)
}

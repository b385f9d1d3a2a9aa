// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// givenHeaders are those whose names and values are known, in a fixed order.
func (m canaryModel) givenHeaders() (out []route.HeaderMatch) {
	known := map[string]string{}
	for name, v := range m.Headers.Elements() {
		if text, ok := v.(types.String); ok && !text.IsUnknown() {
			known[name] = text.ValueString()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		out = append(out, route.HeaderMatch{Name: name, Value: known[name]})
	}
	return out
}

// problemAt is the argument that a problem is about, and what to say there.
func problemAt(p route.Problem, headers []route.HeaderMatch, config route.Config) (path.Path, string) {
	name, rest, _ := strings.Cut(p.Field, ".")
	name, index := indexed(name)
	switch name {
	case "headers":
		if index < 0 || index >= len(headers) {
			return path.Root("headers"), p.Text
		}
		text := p.Text
		if rest == "value" {
			text = fmt.Sprintf("Header %q: %s", headers[index].Name, text)
		}
		return path.Root("headers").AtMapKey(headers[index].Name), text
	case "step":
		return path.Root("step").AtListIndex(index).AtName(rest), p.Text
	case "name":
		return path.Root("name"), p.Text
	case "stable", "canary":
		return path.Root(name).AtListIndex(0).AtName(rest), p.Text
	}
	at := routerBlock(config)
	if name == "parents" {
		name = "parent" // a block
	}
	at = at.AtName(name)
	if index >= 0 {
		at = at.AtListIndex(index)
	}
	if rest != "" {
		at = at.AtName(rest)
	}
	return at, p.Text
}

func routerBlock(config route.Config) path.Path {
	if config.Istio != nil {
		return path.Root("istio").AtListIndex(0)
	}
	return path.Root("gateway_api").AtListIndex(0)
}

// atRouter puts the diagnostic of a kind that the cluster does not have at an argument of the block that asks for it: Terraform shows the
// resource's first line for a block as a whole.
func atRouter(d diag.Diagnostic, err error, config route.Config) diag.Diagnostic {
	if _, missing := errorsFirst(err).(*route.KindMissingError); !missing {
		return d
	}
	at := routerBlock(config)
	switch {
	case config.Istio != nil:
		at = at.AtName("host")
	case config.Gateway != nil && config.Gateway.HTTPRoute != "":
		at = at.AtName("http_route")
	default:
		at = at.AtName("parent").AtListIndex(0).AtName("kind")
	}
	return diag.WithPath(at, d)
}

// indexed takes "gateways[1]" apart; the index is -1 where there is none.
func indexed(field string) (name string, index int) {
	name, number, ok := strings.Cut(strings.TrimSuffix(field, "]"), "[")
	index, err := strconv.Atoi(number)
	if !ok || err != nil {
		return name, -1
	}
	return name, index
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import "strings"

// Registry is the credential of a chart repository or OCI registry.
type Registry struct {
	// URL is "oci://host[/path]" or "https://host[/path]"; the longest prefix of a source applies.
	URL      string
	Username string
	Password string
}

// credentials are those of the provider.
type credentials []Registry

// of finds the entry with the longest prefix, at a boundary of path elements.
func (c credentials) of(address string) *Registry {
	var found *Registry
	longest := -1
	for i, registry := range c {
		prefix := strings.TrimSuffix(registry.URL, "/")
		rest, ok := strings.CutPrefix(address, prefix)
		if ok && prefix != "" && (rest == "" || rest[0] == '/' ||
			rest[0] == ':' && strings.HasPrefix(prefix, "oci://") && strings.Count(prefix, "/") > 2) && len(prefix) > longest {
			found, longest = &c[i], len(prefix)
		}
	}
	return found
}

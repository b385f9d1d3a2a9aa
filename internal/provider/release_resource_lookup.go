// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// lookupAttribute says where templates may read.
func lookupAttribute() schema.SetAttribute {
	return schema.SetAttribute{
		MarkdownDescription: "Namespaces, besides the release's own, in which the chart's templates may read with the function `lookup`. " +
			"Objects that belong to no namespace may always be read, and the namespaces of other clients and stages never. Default: none. " +
			"Example: `[\"monitoring\"]`.",
		Optional:    true,
		ElementType: types.StringType,
		Validators:  []validator.Set{setvalidator.ValueStringsAre(stringvalidator.RegexMatches(namespacePattern, namespaceRule))},
	}
}

// lookupNamespaces are the known elements of the attribute.
func (m releaseModel) lookupNamespaces() []string {
	var out []string
	for _, e := range m.LookupNamespaces.Elements() {
		if name, ok := e.(types.String); ok && !name.IsNull() && !name.IsUnknown() {
			out = append(out, name.ValueString())
		}
	}
	return out
}

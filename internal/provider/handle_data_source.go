// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"

	datasource "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// dataHandleAttribute is the attribute "environment" of data sources, with the same parts as that of resources.
func dataHandleAttribute() datasource.SingleNestedAttribute {
	return datasource.SingleNestedAttribute{
		MarkdownDescription: "The environment to look into: pass the whole resource, `slipway_environment.this`, or the same " +
			"coordinates written by hand.",
		Required:   true,
		Attributes: dataAttributes(handleAttributes()),
	}
}

// dataAttributes turns the attributes of a handle into those of a data source: the framework has a type of its own for each. Other
// kinds of attributes than a handle has are a mistake of the program.
func dataAttributes(of map[string]schema.Attribute) map[string]datasource.Attribute {
	out := make(map[string]datasource.Attribute, len(of))
	for name, attribute := range of {
		switch a := attribute.(type) {
		case schema.StringAttribute:
			out[name] = datasource.StringAttribute{
				MarkdownDescription: a.MarkdownDescription, Required: a.Required, Optional: a.Optional, Validators: a.Validators,
			}
		case schema.Int64Attribute:
			out[name] = datasource.Int64Attribute{
				MarkdownDescription: a.MarkdownDescription, Required: a.Required, Optional: a.Optional, Validators: a.Validators,
			}
		case schema.SingleNestedAttribute:
			out[name] = datasource.SingleNestedAttribute{MarkdownDescription: a.MarkdownDescription, Required: a.Required, Optional: a.Optional,
				Validators: a.Validators, Attributes: dataAttributes(a.Attributes)}
		default:
			panic(fmt.Sprintf("attribute %s of the environment handle is a %T, for which data sources have no counterpart yet", name, attribute))
		}
	}
	return out
}

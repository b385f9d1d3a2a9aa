// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// exactlyOne validates a block in which exactly one of several arguments or blocks must be set.
type exactlyOne []string

func (v exactlyOne) Description(context.Context) string {
	return "exactly one of " + listed(v, "and") + " must be set"
}
func (v exactlyOne) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject counts what is set. What is unknown may become null, so it decides nothing.
func (v exactlyOne) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	var set []string
	undecided := false
	for _, name := range v {
		value := req.ConfigValue.Attributes()[name]
		switch {
		case value == nil || absent(value):
		case value.IsUnknown():
			undecided = true
		default:
			set = append(set, name)
		}
	}
	switch {
	case len(set) > 1:
		resp.Diagnostics.AddAttributeError(req.Path.AtName(set[1]), "Arguments that exclude each other",
			fmt.Sprintf("%s are set.\n\nSet exactly one of %s.", capitalised(listed(set, "and")), listed(v, "and")))
	case len(set) == 0 && !undecided:
		resp.Diagnostics.AddAttributeError(req.Path, "Something is missing", fmt.Sprintf("None of %s is set.\n\nSet exactly one of them.", listed(v, "and")))
	}
}

// absent reports that an argument or block is not in the configuration. Terraform sends an empty list for a block that is not there.
func absent(value attr.Value) bool {
	if list, ok := value.(types.List); ok && !list.IsUnknown() {
		return len(list.Elements()) == 0
	}
	return value.IsNull()
}

// only validates a block in which some arguments have a meaning only beside another one.
type only struct {
	// names are the arguments, beside the one that they belong to.
	names  []string
	beside string
}

func (v only) Description(context.Context) string {
	return fmt.Sprintf("%s belong to %s", listed(v.names, "and"), v.beside)
}
func (v only) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject refuses arguments that would be ignored.
func (v only) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if there := req.ConfigValue.Attributes()[v.beside]; there == nil || !absent(there) {
		return
	}
	for _, name := range v.names {
		if value := req.ConfigValue.Attributes()[name]; value != nil && !absent(value) {
			resp.Diagnostics.AddAttributeError(req.Path.AtName(name), "An argument that would be ignored",
				fmt.Sprintf("%s is set, but %s is not, and it has a meaning only beside it.\n\nSet %s, or take %s out.", name, v.beside, v.beside, name))
		}
	}
}

// listed joins names for people: "a, b and c".
func listed(names []string, conjunction string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + conjunction + " " + names[len(names)-1]
}

// webAddress validates an address for HTTP requests.
type webAddress struct{}

func (webAddress) Description(context.Context) string {
	return "must be an address such as https://prometheus.company.com, without credentials"
}
func (v webAddress) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString does not repeat the address, which may hold a password by mistake.
func (v webAddress) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	at, err := url.Parse(req.ConfigValue.ValueString())
	if err == nil && (at.Scheme == "http" || at.Scheme == "https") && at.Host != "" && at.User == nil {
		return
	}
	advice := "Begin it with http:// or https:// and a host."
	if err == nil && at.User != nil {
		advice = "Take the user and password out of it, since the configuration and the state are no place for them; the arguments that end in _wo are."
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Not an address", fmt.Sprintf("It %s.\n\n%s", v.Description(ctx), advice))
}

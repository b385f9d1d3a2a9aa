// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// schemaTypes are the types of all configurations: of the provider, of each resource type, of each data source type.
type schemaTypes struct {
	provider             attr.Type
	resources, dataTypes map[string]attr.Type
}

// schemaTypesOf asks each schema of the provider.
func schemaTypesOf(ctx context.Context, p *Provider) schemaTypes {
	out := schemaTypes{resources: map[string]attr.Type{}, dataTypes: map[string]attr.Type{}}
	var metadata provider.MetadataResponse
	p.Metadata(ctx, provider.MetadataRequest{}, &metadata)
	var own provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &own)
	out.provider = own.Schema.Type()
	for _, create := range p.Resources(ctx) {
		r := create()
		var named resource.MetadataResponse
		r.Metadata(ctx, resource.MetadataRequest{ProviderTypeName: metadata.TypeName}, &named)
		var described resource.SchemaResponse
		r.Schema(ctx, resource.SchemaRequest{}, &described)
		out.resources[named.TypeName] = described.Schema.Type()
	}
	for _, create := range p.DataSources(ctx) {
		d := create()
		var named datasource.MetadataResponse
		d.Metadata(ctx, datasource.MetadataRequest{ProviderTypeName: metadata.TypeName}, &named)
		var described datasource.SchemaResponse
		d.Schema(ctx, datasource.SchemaRequest{}, &described)
		out.dataTypes[named.TypeName] = described.Schema.Type()
	}
	return out
}

// ValidateProviderConfig refuses fractions before the framework converts the configuration.
func (s *server) ValidateProviderConfig(
	ctx context.Context, req *tfprotov6.ValidateProviderConfigRequest,
) (*tfprotov6.ValidateProviderConfigResponse, error) {
	if problems := fractions(ctx, s.schemaTypes(ctx).provider, req.Config); len(problems) > 0 {
		return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: req.Config, Diagnostics: problems}, nil
	}
	return s.ProviderServer.ValidateProviderConfig(ctx, req)
}

// ValidateResourceConfig refuses fractions before the framework converts the configuration. Terraform calls it again in each plan and
// apply, with the values that have become known.
func (s *server) ValidateResourceConfig(
	ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest,
) (*tfprotov6.ValidateResourceConfigResponse, error) {
	if problems := fractions(ctx, s.schemaTypes(ctx).resources[req.TypeName], req.Config); len(problems) > 0 {
		return &tfprotov6.ValidateResourceConfigResponse{Diagnostics: problems}, nil
	}
	return s.ProviderServer.ValidateResourceConfig(ctx, req)
}

// ValidateDataResourceConfig refuses fractions before the framework converts the configuration.
func (s *server) ValidateDataResourceConfig(
	ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest,
) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	if problems := fractions(ctx, s.schemaTypes(ctx).dataTypes[req.TypeName], req.Config); len(problems) > 0 {
		return &tfprotov6.ValidateDataResourceConfigResponse{Diagnostics: problems}, nil
	}
	return s.ProviderServer.ValidateDataResourceConfig(ctx, req)
}

// fractions returns an error for each whole-number attribute that has another number. The framework would report its failed
// conversion as a bug of the provider, and no validator of an attribute runs before that conversion.
func fractions(ctx context.Context, typ attr.Type, config *tfprotov6.DynamicValue) []*tfprotov6.Diagnostic {
	if typ == nil || config == nil {
		return nil
	}
	value, err := config.Unmarshal(typ.TerraformType(ctx))
	if err != nil {
		return nil // the framework reports it
	}
	return fractionsIn(typ, value, tftypes.NewAttributePath())
}

func fractionsIn(typ attr.Type, value tftypes.Value, at *tftypes.AttributePath) []*tfprotov6.Diagnostic {
	if value.IsNull() || !value.IsKnown() {
		return nil
	}
	var problems []*tfprotov6.Diagnostic
	switch t := typ.(type) {
	case basetypes.Int64Typable:
		var number *big.Float
		if value.As(&number) != nil || number == nil {
			return nil
		}
		if _, accuracy := number.Int64(); accuracy != big.Exact {
			problems = append(problems, notWhole(at, number))
		}
	case attr.TypeWithAttributeTypes:
		var attributes map[string]tftypes.Value
		if value.As(&attributes) != nil {
			return nil
		}
		types := t.AttributeTypes()
		for _, name := range slices.Sorted(maps.Keys(types)) {
			if attribute, ok := attributes[name]; ok {
				problems = append(problems, fractionsIn(types[name], attribute, at.WithAttributeName(name))...)
			}
		}
	case attr.TypeWithElementType:
		problems = append(problems, fractionsInElements(t.ElementType(), value, at)...)
	}
	return problems
}

// fractionsInElements walks a list, a set or a map.
func fractionsInElements(typ attr.Type, value tftypes.Value, at *tftypes.AttributePath) []*tfprotov6.Diagnostic {
	var problems []*tfprotov6.Diagnostic
	if value.Type().Is(tftypes.Map{}) {
		var elements map[string]tftypes.Value
		if value.As(&elements) != nil {
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(elements)) {
			problems = append(problems, fractionsIn(typ, elements[key], at.WithElementKeyString(key))...)
		}
		return problems
	}
	var elements []tftypes.Value
	if value.As(&elements) != nil {
		return nil
	}
	inSet := value.Type().Is(tftypes.Set{})
	for i, element := range elements {
		step := at.WithElementKeyInt(i)
		if inSet {
			step = at.WithElementKeyValue(element)
		}
		problems = append(problems, fractionsIn(typ, element, step)...)
	}
	return problems
}

// notWhole is the error of one attribute.
func notWhole(at *tftypes.AttributePath, number *big.Float) *tfprotov6.Diagnostic {
	name, found := attributeText(at), number.Text('g', -1)
	detail := fmt.Sprintf("%s is %s. Write a whole number.", name, found)
	switch {
	case number.IsInt() && number.Sign() < 0:
		detail = fmt.Sprintf("%s is %s, which is too small for a whole number of 64 bits. Write a larger one.", name, found)
	case number.IsInt():
		detail = fmt.Sprintf("%s is %s, which is too large for a whole number of 64 bits. Write a smaller one.", name, found)
	case strings.HasSuffix(name, "weight") && number.Sign() > 0 && number.Cmp(big.NewFloat(1)) < 0:
		percent := new(big.Float).SetPrec(53).Mul(number, big.NewFloat(100))
		detail = fmt.Sprintf("%s is %s. It is a whole number of percent: write %s for a share of %s.", name, found, percent.Text('f', 0), found)
	}
	return &tfprotov6.Diagnostic{
		Severity: tfprotov6.DiagnosticSeverityError, Summary: "Not a whole number", Detail: detail, Attribute: at,
	}
}

// attributeText writes a path as a configuration does: step[0].weight.
func attributeText(at *tftypes.AttributePath) string {
	var b strings.Builder
	for _, step := range at.Steps() {
		switch s := step.(type) {
		case tftypes.AttributeName:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(string(s))
		case tftypes.ElementKeyInt:
			fmt.Fprintf(&b, "[%d]", int64(s))
		case tftypes.ElementKeyString:
			fmt.Fprintf(&b, "[%q]", string(s))
		case tftypes.ElementKeyValue:
			b.WriteString("[…]")
		}
	}
	return b.String()
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// ReadResource answers for a release with what Read says of it, where the framework would traverse its state several times
// to send it back. A release for which the framework keeps something in private state, such as one just imported, is left to it.
func (s *server) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	if resp := s.read(ctx, req); resp != nil {
		return resp, nil
	}
	return s.ProviderServer.ReadResource(ctx, req)
}

// read is nil where the framework is to answer. It asks the cluster nothing in that case.
func (s *server) read(ctx context.Context, req *tfprotov6.ReadResourceRequest) *tfprotov6.ReadResourceResponse {
	data := s.provider.data.Load()
	if data == nil || req.TypeName != releaseType || req.CurrentIdentity != nil || req.CurrentState == nil ||
		len(req.CurrentState.MsgPack) == 0 {
		return nil
	}
	shape := s.releaseShape(ctx)
	current, err := req.CurrentState.Unmarshal(shape.typ)
	if err != nil || current.IsNull() {
		return nil
	}
	private := storedPrivate{}
	if len(req.Private) > 0 && json.Unmarshal(req.Private, &private) != nil || private.fromFramework() {
		return nil
	}

	resp := resource.ReadResponse{State: tfsdk.State{Raw: current, Schema: shape.schema}}
	r := &ReleaseResource{data: data}
	r.read(ctx, resource.ReadRequest{State: tfsdk.State{Raw: current, Schema: shape.schema}}, private, &resp)

	out := &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, Diagnostics: protocolDiagnostics(resp.Diagnostics)}
	if !resp.State.Raw.Equal(current) {
		changed, err := tfprotov6.NewDynamicValue(shape.typ, resp.State.Raw)
		if err != nil {
			out.Diagnostics = append(out.Diagnostics, &tfprotov6.Diagnostic{
				Severity: tfprotov6.DiagnosticSeverityError,
				Summary:  "Cannot encode the state of the release",
				Detail:   err.Error() + ". This is a bug in the provider.",
			})
			return out
		}
		out.NewState = &changed
	}
	if len(private) > 0 {
		if out.Private, err = json.Marshal(private); err != nil {
			out.Diagnostics = append(out.Diagnostics, &tfprotov6.Diagnostic{
				Severity: tfprotov6.DiagnosticSeverityError,
				Summary:  "Cannot encode the private state of the release",
				Detail:   err.Error() + ". This is a bug in the provider.",
			})
		}
	}
	return out
}

// storedPrivate is private state as the framework hands it to Terraform.
type storedPrivate map[string][]byte

// GetKey returns what is stored under a key, nil where there is nothing.
func (p storedPrivate) GetKey(_ context.Context, key string) ([]byte, diag.Diagnostics) {
	return p[key], nil
}

// SetKey stores a value, or removes what is there when it is empty.
func (p storedPrivate) SetKey(_ context.Context, key string, value []byte) diag.Diagnostics {
	if len(value) == 0 {
		delete(p, key)
		return nil
	}
	p[key] = value
	return nil
}

// fromFramework reports that the framework has stored something of its own, under a name that begins with a full stop.
func (p storedPrivate) fromFramework() bool {
	for key := range p {
		if strings.HasPrefix(key, ".") {
			return true
		}
	}
	return false
}

// protocolDiagnostics are diagnostics as Terraform gets them.
func protocolDiagnostics(diags diag.Diagnostics) []*tfprotov6.Diagnostic {
	var out []*tfprotov6.Diagnostic
	for _, d := range diags {
		converted := &tfprotov6.Diagnostic{Severity: tfprotov6.DiagnosticSeverityWarning, Summary: d.Summary(), Detail: d.Detail()}
		if d.Severity() == diag.SeverityError {
			converted.Severity = tfprotov6.DiagnosticSeverityError
		}
		if at, ok := d.(diag.DiagnosticWithPath); ok {
			converted.Attribute = protocolPath(at.Path())
		}
		out = append(out, converted)
	}
	return out
}

// protocolPath is a path as Terraform gets it, up to the first step that is no name, index or key.
func protocolPath(p path.Path) *tftypes.AttributePath {
	out := tftypes.NewAttributePath()
	for _, step := range p.Steps() {
		switch step := step.(type) {
		case path.PathStepAttributeName:
			out = out.WithAttributeName(string(step))
		case path.PathStepElementKeyInt:
			out = out.WithElementKeyInt(int(step))
		case path.PathStepElementKeyString:
			out = out.WithElementKeyString(string(step))
		default:
			return out
		}
	}
	return out
}

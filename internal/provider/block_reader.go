// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"net/http"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// blockReader turns arguments into plain values, and notes whether one of them was not known.
type blockReader struct {
	ctx context.Context
	// unknown says that something was not known, untimed that this may change how long it takes.
	unknown, untimed bool
	diags            diag.Diagnostics
}

// blocks decodes the elements of a repeated block that are known.
func blocks[T any](r *blockReader, list types.List) []T {
	if list.IsUnknown() {
		r.unknown, r.untimed = true, true
		return nil
	}
	out := make([]T, 0, len(list.Elements()))
	for _, element := range list.Elements() {
		o, ok := element.(types.Object)
		if !ok || o.IsUnknown() {
			r.unknown, r.untimed = true, true
			continue
		}
		var decoded T
		r.diags.Append(o.As(r.ctx, &decoded, basetypes.ObjectAsOptions{})...)
		out = append(out, decoded)
	}
	return out
}

// block decodes a block that occurs at most once.
func block[T any](r *blockReader, list types.List) (decoded T, there bool) {
	if all := blocks[T](r, list); len(all) > 0 {
		return all[0], true
	}
	return decoded, false
}

func (r *blockReader) text(v types.String, standard string) string {
	r.unknown = r.unknown || v.IsUnknown()
	if v.IsNull() || v.IsUnknown() {
		return standard
	}
	return v.ValueString()
}

// duration reads a duration; substitute replaces what is not known yet.
func (r *blockReader) duration(v types.String, standard, substitute time.Duration) time.Duration {
	switch {
	case v.IsUnknown():
		r.unknown, r.untimed = true, true
		return substitute
	case v.IsNull():
		return standard
	}
	d, err := time.ParseDuration(v.ValueString())
	if err != nil || d < 0 { // the schema says so
		r.unknown, r.untimed = true, true
		return substitute
	}
	return d
}

func (r *blockReader) number(v types.Int64, standard int) int {
	r.unknown = r.unknown || v.IsUnknown()
	if v.IsNull() || v.IsUnknown() {
		return standard
	}
	return int(v.ValueInt64())
}

func (r *blockReader) strings(list types.List) (out []string) {
	for _, element := range list.Elements() {
		if text, ok := element.(types.String); ok {
			out = append(out, r.text(text, ""))
		}
	}
	r.unknown = r.unknown || list.IsUnknown()
	return out
}

func (r *blockReader) stringMap(m types.Map) map[string]string {
	r.unknown = r.unknown || m.IsUnknown()
	if len(m.Elements()) == 0 {
		return nil
	}
	out := make(map[string]string, len(m.Elements()))
	for key, element := range m.Elements() {
		if text, ok := element.(types.String); ok {
			out[key] = r.text(text, "")
		}
	}
	return out
}

// float is a number, or the standard where it is not set or not known yet.
func (r *blockReader) float(v types.Float64, standard float64) float64 {
	if v.IsUnknown() {
		r.unknown = true
	}
	if v.IsNull() || v.IsUnknown() {
		return standard
	}
	return v.ValueFloat64()
}

// limit is a number that is not set, or that is.
func (r *blockReader) limit(v types.Float64) *float64 {
	if v.IsUnknown() {
		r.unknown = true
		zero := 0.0
		return &zero
	}
	return v.ValueFloat64Pointer()
}

// secret reads a write-only value. One that is not known yet is as good as none, since nothing that is planned depends on it.
func (r *blockReader) secret(v types.String) string { return v.ValueString() }

// header reads write-only headers.
func (r *blockReader) header(m types.Map) http.Header {
	if len(m.Elements()) == 0 {
		return nil
	}
	header := make(http.Header, len(m.Elements()))
	for name, element := range m.Elements() {
		if value, ok := element.(types.String); ok {
			header.Set(name, r.secret(value))
		}
	}
	return header
}

// attributeGetter is a configuration, plan or state.
type attributeGetter interface {
	GetAttribute(ctx context.Context, path path.Path, target any) diag.Diagnostics
}

// port is one that the schema has checked.
func port(n int) int32 {
	return int32(max(0, min(n, 65535))) //nolint:gosec // bounded
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// readVariables takes strings, numbers and booleans from the environment's file of Terraform variables as facts, so that they need
// not be repeated. Values that look like secrets are left out, since facts are written and shown. found is false if there is no such file.
func (f *Fleet) readVariables(e *Environment, used *inputs) (found bool, err error) {
	name, err := f.expandPath(e, f.Tfvars)
	var described *DescriptionError
	if errors.As(err, &described) {
		return false, err
	}
	if err != nil {
		return false, &DescriptionError{File: filepath.Join(f.Dir, FileName), Reason: "tfvars: " + err.Error(), Err: err}
	}
	file := filepath.Join(f.Dir, filepath.FromSlash(name))
	content, err := used.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(file, err)
	}
	refuse := func(found hcl.Diagnostics) error {
		first := found[0]
		out := &DescriptionError{File: file, Reason: fmt.Sprintf("%s: %s", first.Summary, strings.TrimSuffix(first.Detail, ".")), Err: found}
		if first.Subject != nil {
			out.Line = first.Subject.Start.Line
		}
		return out
	}
	parsed, diagnostics := hclsyntax.ParseConfig(content, file, hcl.InitialPos)
	if diagnostics.HasErrors() {
		return false, refuse(diagnostics)
	}
	attributes, diagnostics := parsed.Body.JustAttributes()
	if diagnostics.HasErrors() {
		return false, refuse(diagnostics)
	}
	for name, attribute := range attributes {
		value, diagnostics := attribute.Expr.Value(nil)
		if diagnostics.HasErrors() {
			return false, refuse(diagnostics)
		}
		if value.IsNull() {
			continue
		}
		switch value.Type() {
		case cty.String:
			if f.looksSecret([]string{name}, value.AsString()) {
				continue
			}
			e.Facts[name] = value.AsString()
		case cty.Bool:
			e.Facts[name] = fmt.Sprint(value.True())
		case cty.Number:
			e.Facts[name] = numberText(value.AsBigFloat())
		default:
			f.nest(e, name, value)
		}
	}
	return true, nil
}

// nest keeps what objects contain, without what looks like a secret. It is no fact, since facts have plain names.
func (f *Fleet) nest(e *Environment, name string, value cty.Value) {
	if value.IsNull() || !value.IsKnown() {
		return
	}
	switch {
	case value.Type() == cty.String && !f.looksSecret([]string{name}, value.AsString()), value.Type() == cty.Number:
		if e.nested == nil {
			e.nested = map[string]string{}
		}
		if value.Type() == cty.Number {
			e.nested[name] = numberText(value.AsBigFloat())
		} else {
			e.nested[name] = value.AsString()
		}
	case value.Type().IsObjectType():
		for key, below := range value.AsValueMap() {
			f.nest(e, name+"."+key, below)
		}
	}
}

func numberText(n *big.Float) string { return n.Text('f', -1) }

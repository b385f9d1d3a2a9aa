// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package redact

import (
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

func TestSecrets_TakeBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	s := &Secrets{}
	s.AddObject(map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"a": "947vNg==", "b": "YWI="}})
	s.Complete()
	if got := s.Text("an ab"); got != "an "+object.MaskSecret {
		t.Errorf("got %q", got)
	}
}

func FuzzSecrets(f *testing.F) {
	f.Add("hunter2!", "before ", " after")
	f.Add("line one\nline two", "", "")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < minSecret || strings.Contains(object.MaskSecret, secret) {
			t.Skip()
		}
		s := New(map[string]any{"s": secret})
		out := s.Text(before + secret + after)
		// What is left of the text around the masks may form the secret anew only if it was there by itself.
		if out == before+secret+after {
			t.Errorf("%q is still in %q", secret, out)
		}
	})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmstore

import (
	"reflect"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Keys of secrets often hold dots: tls.key, .dockerconfigjson.
func TestSplitValues_FindsEachLeafThatWasGivenAsSecret(t *testing.T) {
	t.Parallel()
	public := map[string]any{
		"image": map[string]any{"tag": "v1"}, "tls": map[string]any{"crt": "public"}, "a": map[string]any{"b.c": "public"},
	}
	given := map[string]any{
		"tls.key":           "one",
		".dockerconfigjson": "two",
		"tls":               map[string]any{"key": "three", `back\slash.key`: "four"},
		"a.b":               map[string]any{"c": "five"},
		"hosts":             []any{"six"},
		"trailing.":         map[string]any{"": "seven"},
	}
	left, secret := SplitValues(values.Merge(public, given), values.Leaves(given))
	if !reflect.DeepEqual(left, public) {
		t.Errorf("the public values are %v, want %v", left, public)
	}
	if len(secret) != 7 {
		t.Errorf("the secret values are %v", secret)
	}
}

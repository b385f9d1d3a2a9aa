// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import "testing"

func TestAlignMasks_ComparesOnlyWhatBothShow(t *testing.T) {
	before := `{"metadata":{"annotations":{"checksum/secret":"3f1a"}},"spec":{"env":[{"name":"A","value":"` + MaskSecret + `"}],"replicas":2}}`
	after := `{"metadata":{"annotations":{"checksum/secret":"` + MaskSecret + `"}},"spec":{"env":[{"name":"A","value":"x"}],"replicas":3}}`
	one, other, err := AlignMasks(before, after)
	if err != nil {
		t.Fatal(err)
	}
	const masked = `{"metadata":{"annotations":{"checksum/secret":"` + MaskSecret + `"}},"spec":{"env":[{"name":"A","value":"` + MaskSecret +
		`"}],"replicas":`
	if want := masked + "2}}"; one != want {
		t.Errorf("before: %s, want %s", one, want)
	}
	if want := masked + "3}}"; other != want {
		t.Errorf("after: %s, want %s", other, want)
	}
}

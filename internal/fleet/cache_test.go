// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"reflect"
	"strings"
	"testing"
)

func TestCache_GivesBackWhatItWasGivenOrNothing(t *testing.T) {
	basis := fingerprint([]byte("basis"))
	clients := map[string]clientEntry{
		"acme": {Stages: []string{
			"dev", "prod",
		}, Inputs: []input{{Path: "a", Sum: fingerprint([]byte("a")), Stamp: stamp{1, 2, 3, -4}}, {Path: "gone", Sum: absent}},
			Outputs: []input{{Path: "b", Sum: fingerprint([]byte("b"))}}, Folder: stamp{Inode: 1 << 60, Changed: 1}},
		strings.Repeat("x", 300): {Inputs: []input{}, Outputs: []input{}},
	}
	content := encodeCache(basis, clients)
	if got := decodeCache(content, basis); !reflect.DeepEqual(got, clients) {
		t.Errorf("got %v", got)
	}
	if decodeCache(content, fingerprint([]byte("another"))) != nil {
		t.Error("the cache of another basis was taken")
	}
	for n := range content {
		if decodeCache(content[:n], basis) != nil {
			t.Fatalf("the first %d of %d bytes were taken", n, len(content))
		}
	}
	if decodeCache(append(content, 0), basis) != nil {
		t.Error("a byte more was taken")
	}
}

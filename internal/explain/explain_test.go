// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package explain_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

func TestError_IsFoundInAChainAndKeepsItsCause(t *testing.T) {
	t.Parallel()
	cause := &explain.Error{Happened: "A.", Advice: "C.", Cause: io.ErrUnexpectedEOF}
	err := fmt.Errorf("doing: %w", errors.Join(errors.New("other"), cause))
	found, ok := explain.As(err)
	if !ok {
		t.Fatal("not found")
	}
	if happened, observed, advice := found.Explain(); happened != "A." || observed != "" || advice != "C." {
		t.Errorf("got %q, %q, %q", happened, observed, advice)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if _, ok := explain.As(io.EOF); ok {
		t.Error("io.EOF explains nothing")
	}
}

func TestText_IsOneLineWhereEachPartIs(t *testing.T) {
	t.Parallel()
	for want, parts := range map[string][]string{
		"A. B. C.":     {"A.", "B.", "C."},
		"A. C.":        {"A.", "", "C."},
		"A.\nx\ny\nC.": {"A.", "x\ny", "C."},
		"":             {"", "", ""},
	} {
		if got := explain.Text(parts...); got != want {
			t.Errorf("Text(%q) = %q, want %q", parts, got, want)
		}
	}
}

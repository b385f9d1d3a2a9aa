// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package explain_test

import (
	"errors"
	"io"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ got, want string }{
		"a list of one":     {explain.Library(errors.New("1 error occurred:\n\t* no\n\n")), "no"},
		"a short text":      {explain.Shorten("abc", 3), "abc"},
		"a long text":       {explain.Shorten("abcd", 3), "abc…"},
		"a cut letter":      {explain.Shorten("abä", 3), "ab…"},
		"an open sentence":  {explain.Sentence(" no "), "no."},
		"a closed sentence": {explain.Sentence("no?"), "no?"},
		"no sentence":       {explain.Sentence(""), ""},
		"a first line":      {explain.FirstLine("a\nb"), "a"},
		"advice":            {explain.WithoutAdvice(&explain.Error{Happened: "A.", Observed: "B.", Advice: "C."}), "A. B."},
		"a plain error":     {explain.WithoutAdvice(io.EOF), "EOF"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %q, want %q", name, tc.got, tc.want)
		}
	}
}

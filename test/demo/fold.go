// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// planFolder passes on what Terraform prints, with the body of a plan folded into one line. A plan in which everything is new
// has hundreds of lines and nothing to compare.
type planFolder struct {
	to io.Writer
	// keep is in the addresses of resources whose part of the body is shown. Empty shows none.
	keep   string
	kept   bool
	line   []byte // begun, and not ended yet
	inside bool
	folded int
}

var (
	bodyBegins = []byte(" will perform the following actions:")
	bodyEnds   = []byte("Plan:")
	// The head of a resource, and remarks under it, begin at the same column.
	headBegins   = []byte("  # ")
	remarkBegins = []byte("  # (")
	ansi         = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

// Write implements io.Writer.
func (f *planFolder) Write(p []byte) (int, error) {
	f.line = append(f.line, p...)
	for {
		end := bytes.IndexByte(f.line, '\n')
		if end < 0 {
			return len(p), nil
		}
		if err := f.writeLine(f.line[:end+1]); err != nil {
			return 0, err
		}
		f.line = f.line[end+1:]
	}
}

func (f *planFolder) writeLine(line []byte) error {
	switch {
	case !f.inside && bytes.Contains(line, bodyBegins):
		f.inside, f.kept, f.folded = true, false, 0
	case f.inside && bytes.Contains(line, bodyEnds):
		f.inside = false
		if _, err := fmt.Fprintf(f.to, "\n  (%d lines of plan are not shown here)\n\n", f.folded); err != nil {
			return err
		}
	case f.inside:
		if plain := ansi.ReplaceAll(line, nil); bytes.HasPrefix(plain, headBegins) && !bytes.HasPrefix(plain, remarkBegins) {
			f.kept = f.keep != "" && bytes.Contains(plain, []byte(f.keep))
		}
		if !f.kept {
			f.folded++
			return nil
		}
	}
	_, err := f.to.Write(line)
	return err
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
)

// planFolder passes on what Terraform prints, with the body of a plan folded into one line. A plan in which everything is new
// has hundreds of lines and nothing to compare.
type planFolder struct {
	to     io.Writer
	line   []byte // begun, and not ended yet
	inside bool
	folded int
}

var (
	bodyBegins = []byte(" will perform the following actions:")
	bodyEnds   = []byte("Plan:")
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
		f.inside, f.folded = true, 0
	case f.inside && bytes.Contains(line, bodyEnds):
		f.inside = false
		if _, err := fmt.Fprintf(f.to, "\n  (%d lines of plan are not shown here)\n\n", f.folded); err != nil {
			return err
		}
	case f.inside:
		f.folded++
		return nil
	}
	_, err := f.to.Write(line)
	return err
}

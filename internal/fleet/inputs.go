// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"crypto/sha256"
	"errors"
	"io/fs"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// sum is the fingerprint of a content.
type sum [16]byte

// absent is the fingerprint of a file that there is not.
var absent = sum{}

func fingerprint(content []byte) sum {
	full := sha256.Sum256(content)
	return sum(full[:16])
}

// input is a file that something was made of.
type input struct {
	Path string
	Sum  sum
	// Stamp with which the file had that content; zero where that is not known.
	Stamp stamp
}

// inputs notes the files that are read for a client.
type inputs struct{ files []input }

// read reads a file and notes it, also where there is none.
func (in *inputs) read(path string) ([]byte, error) {
	content, err := readFile(path)
	switch {
	case err == nil:
		in.note(path, fingerprint(content))
	case errors.Is(err, fs.ErrNotExist):
		in.note(path, absent)
	}
	return content, err
}

func (in *inputs) note(path string, s sum) {
	for _, known := range in.files {
		if known.Path == path {
			return
		}
	}
	in.files = append(in.files, input{Path: path, Sum: s})
}

// readFile reads a file of the description.
func readFile(path string) ([]byte, error) { return regularfile.Read(path, values.MaxSize) }

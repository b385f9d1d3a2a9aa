// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package fleet

import (
	"fmt"
	"os"
)

// lockTree makes the tree; there are no locks on folders here.
func lockTree(tree string) (unlock func(), err error) {
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of generated files: %w", err)
	}
	return func() {}, nil
}

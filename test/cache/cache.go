// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package cache is the directory in which tests and the demo keep builds and downloads, for the next run and for other checkouts.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir is $SLIPWAY_CACHE, or slipway in the user's cache directory ($XDG_CACHE_HOME, ~/.cache). It need not exist yet.
func Dir() (string, error) {
	if dir := os.Getenv("SLIPWAY_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory (set SLIPWAY_CACHE to choose one): %w", err)
	}
	return filepath.Join(base, "slipway"), nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import "strings"

// cutLast cuts at the last slash.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

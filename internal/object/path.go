// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"regexp"
	"strconv"
)

var plainField = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$-]*$`)

// field appends a map key to a path: spec.replicas, metadata.annotations["checksum/config"].
func field(path, key string) string {
	switch {
	case !plainField.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// index appends a list index to a path: spec.rules[0].
func index(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}

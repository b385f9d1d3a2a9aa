// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"cmp"
	"slices"
)

// sortedHeaders is a copy in a fixed order, without repetitions.
func sortedHeaders(headers []HeaderMatch) []HeaderMatch {
	out := slices.Clone(headers)
	slices.SortFunc(out, func(a, b HeaderMatch) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(out)
}

func sameHeaders(a, b []HeaderMatch) bool {
	return slices.Equal(sortedHeaders(a), sortedHeaders(b))
}

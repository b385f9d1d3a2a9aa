// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"strings"
)

// Listed names a few and counts the rest: "client-a/prod, client-b/prod and 15 more".
func Listed(names []string) string {
	const shown = 4
	switch {
	case len(names) == 0:
		return "no environment"
	case len(names) <= shown+1:
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// plural is "1 environment", "2 environments".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

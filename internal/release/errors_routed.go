// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// RoutedError says that a release was not removed, since requests are still sent to its pods. Nothing was changed.
type RoutedError struct {
	Release string
	// Uses say in words what sends them.
	Uses []string
}

// Explain says it in three paragraphs.
func (e *RoutedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Release %s was not removed: requests are still sent to its pods.", e.Release),
		strings.Join(e.Uses, "\n"),
		"Keep the release in the configuration, or put it back, and move the traffic away: set the weight of the split so that this release " +
			"has no requests and remove the headers of the split, or make the other color active. Apply. Then remove the release and apply " +
			"again. One apply does both in this order only if the release has had create_before_destroy = true since before, and no apply has " +
			"failed to remove it."
}

func (e *RoutedError) Error() string { return explain.Text(e.Explain()) }

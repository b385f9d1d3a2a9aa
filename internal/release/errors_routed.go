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
		"Move the traffic away first: set the weight of the split to 0 or 100 so that this release has none, or remove the split, or make the " +
			"other color active, and apply. " +
			"In a configuration where the split or the switch depends on the release, and the release has create_before_destroy, Terraform does " +
			"both in this order."
}

func (e *RoutedError) Error() string { return explain.Text(e.Explain()) }

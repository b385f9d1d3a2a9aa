// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package operation

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// InterruptedError says that Terraform was interrupted before the operation began. Nothing was changed.
type InterruptedError struct {
	// Subject is what would have been changed, During what was being done.
	Subject, During string
	Cause           error
}

// Explain implements explain.Explainer.
func (e *InterruptedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Terraform was interrupted before the change of %s began.", e.Subject),
		fmt.Sprintf("This happened while Slipway was %s: %v.", e.During, e.Cause), "Nothing was changed. Apply again."
}

func (e *InterruptedError) Error() string { return explain.Text(e.Explain()) }

// Unwrap returns what the wait ended with.
func (e *InterruptedError) Unwrap() error { return e.Cause }

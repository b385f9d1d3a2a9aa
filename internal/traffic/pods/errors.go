// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package pods

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// ServiceMissingError says that a Service does not exist.
type ServiceMissingError struct{ Service, Namespace string }

// Explain returns the three parts of the error.
func (e *ServiceMissingError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("There is no Service %s.", e.Service), fmt.Sprintf("Namespace %s does not have it.", e.Namespace),
		"Name the Service that clients call. Where a slipway_release makes it, let this resource depend on the release."
}

func (e *ServiceMissingError) Error() string { return explain.Text(e.Explain()) }

// errNotOfTrack says that a Service does not have the pods of a track.
func errNotOfTrack(service, key, value, selects string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s does not have the pods with %s=%s.", service, key, value),
		Observed: fmt.Sprintf("Its selector has %s=%s.", key, selects),
		Advice:   "Name a Service that is before both tracks, or correct the labels of the track.",
	}
}

// errNoSelector says that a Service does not choose its pods by labels.
func errNoSelector(service string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s has no selector.", service),
		Observed: "Without a selector, it is not known which pods it has.",
		Advice:   "Give the Service a selector that all pods of the application have, for example slipway.dev/app.",
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"slices"
	"time"
)

// trouble counts as failure once it has lasted grace.
type trouble struct {
	kind  string
	text  string
	grace time.Duration
}

// TroubleCrash is a container that ends again and again.
const TroubleCrash = "crash"

// Kinds of trouble because of which a pod does not begin.
const (
	troubleImage         = "image"
	troubleImageName     = "image name"
	troubleConfig        = "config"
	troubleRefused       = "refused"
	troubleUnschedulable = "unschedulable"
	troubleVanished      = "vanished"
	troubleDisrupted     = "disrupted"
	// troubleUnserved is a Service without a ready endpoint.
	troubleUnserved = "unserved"
)

// NotReadyError ends a wait early: what was seen does not heal.
type NotReadyError struct {
	Cause string
	// Kind is that of the trouble, for example TroubleCrash.
	Kind string
	// Hook says that a hook was waited for.
	Hook bool
	// Reports describe the objects that were not ready.
	Reports []ObjectReport
}

func (e *NotReadyError) Error() string { return e.Cause }

// Hindered reports that something outside of the program kept its pods from starting, or ended them.
func (e *NotReadyError) Hindered() bool {
	return slices.Contains([]string{
		troubleImage, troubleImageName, troubleConfig, troubleRefused, troubleUnschedulable, troubleVanished, troubleDisrupted,
	}, e.Kind)
}

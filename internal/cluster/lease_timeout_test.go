// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"testing"
	"time"
)

func TestHoldTimeout_IsLongEnoughToSeeThatAHolderDied(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{
		time.Second: 45 * time.Second, 30 * time.Second: 45 * time.Second, 5 * time.Minute: 5 * time.Minute,
	} {
		if got := HoldTimeout(timeout); got != want {
			t.Errorf("with a timeout of %s it waits %s, want %s", timeout, got, want)
		}
	}
}

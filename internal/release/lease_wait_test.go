// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"testing"
	"time"
)

func TestLeaseWait_IsLongEnoughToSeeThatAHolderDied(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{time.Second: 45 * time.Second, 30 * time.Second: 45 * time.Second, 5 * time.Minute: 5 * time.Minute} {
		if got := leaseWait(timeout); got != want {
			t.Errorf("with a timeout of %s it waits %s, want %s", timeout, got, want)
		}
	}
}

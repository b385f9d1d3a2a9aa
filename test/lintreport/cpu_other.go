// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package main

import (
	"errors"
	"time"
)

func cpuTime() (time.Duration, error) {
	return 0, errors.New("the benchmark runs on Linux alone")
}

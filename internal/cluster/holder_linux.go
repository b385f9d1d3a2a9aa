// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"os"
	"strings"
)

// processDetails distinguishes a process from later ones with the same id: its start time in ticks since boot, and the boot.
func processDetails(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command in parentheses and may hold anything; the start time is the 22nd field, the 20th
	// after the command.
	_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Sprintf(" (started at tick %s)", fields[19])
	}
	return fmt.Sprintf(" (started at tick %s of boot %.8s)", fields[19], boot)
}

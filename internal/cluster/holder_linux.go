// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"os"
	"strings"
)

// processDetails distinguishes a process from others with the same id: from later ones by its start time in ticks since boot and the
// boot, from those of other containers by the PID namespace, since containers may have one host name and start in the same tick. What
// cannot be read is left out.
func processDetails(pid int) string {
	namespace, _ := os.Readlink("/proc/self/ns/pid")          // empty where /proc is hidden
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // likewise
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // likewise
	// The second field is the command in parentheses and may hold anything; the start time is the 22nd field, the 20th
	// after the command.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	started := ""
	if len(fields) >= 20 {
		started = fields[19]
	}
	return fmt.Sprintf("%s %s %s", namespace, boot, started)
}

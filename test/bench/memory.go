// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memoryWatch follows the processes of one program.
type memoryWatch struct {
	done chan struct{}
	peak chan uint64
}

// watchMemory watches all processes whose program lies below dir, until stop.
func watchMemory(dir string) memoryWatch {
	w := memoryWatch{make(chan struct{}), make(chan uint64, 1)}
	go func() {
		var peak uint64
		for {
			peak = max(peak, largestPeak(dir))
			select {
			case <-w.done:
				w.peak <- peak
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return w
}

// stop returns the largest resident set, in bytes, that one process had. The kernel keeps it while the process lives, so
// that only what happens in the last moments of a process can be missed.
func (w memoryWatch) stop() uint64 {
	close(w.done)
	return <-w.peak
}

func largestPeak(dir string) uint64 {
	programs, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0
	}
	var peak uint64
	for _, link := range programs {
		program, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(program, dir+"/") {
			continue // not ours, or gone
		}
		peak = max(peak, residentPeak(filepath.Join(filepath.Dir(link), "status")))
	}
	return peak
}

// residentPeak reads VmHWM, which /proc gives in kB.
func residentPeak(status string) uint64 {
	content, err := os.ReadFile(status)
	if err != nil {
		return 0 // the process has ended
	}
	for line := range bytes.Lines(content) {
		if value, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kilobytes, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(value)), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kilobytes << 10
		}
	}
	return 0
}

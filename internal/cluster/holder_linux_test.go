// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const printHolder = "SLIPWAY_TEST_PRINT_HOLDER"

// Containers on one machine may have one host name, one process id and, with the processes of the host in /proc, one start time.
func TestProcessHolder_DiffersBetweenPIDNamespaces(t *testing.T) {
	if os.Getenv(printHolder) != "" {
		t.Logf("holder: %s", processHolder())
		return
	}
	t.Parallel()
	inside := func() string {
		// The shell is process 1 of its namespace, and stays because it has something to do afterwards.
		command := exec.CommandContext(t.Context(), "/bin/sh", "-c",
			`"$0" -test.run '^TestProcessHolder_DiffersBetweenPIDNamespaces$' -test.v; true`,
			os.Args[0])
		command.Env = append(os.Environ(), printHolder+"=1")
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Skipf("no PID namespace can be made here: %v", err)
		}
		_, holder, found := strings.Cut(string(out), "holder: ")
		if !found {
			t.Fatalf("no holder in:\n%s", out)
		}
		holder, _, _ = strings.Cut(holder, "\n")
		if !strings.Contains(holder, "terraform process 1 ") {
			t.Fatalf("the parent is not the first process of its namespace: %s", holder)
		}
		return holder
	}
	if one, two := inside(), inside(); one == two {
		t.Errorf("two runs in two containers have one holder: %s", one)
	}
}

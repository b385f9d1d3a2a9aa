// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bufio"
	"io"
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
	// The first container is still there when the second starts: the kernel gives the number of a namespace that has ended to a new one.
	one, end := holderInside(t)
	two, endSecond := holderInside(t)
	endSecond()
	end()
	if one == two {
		t.Errorf("two runs in two containers have one holder: %s", one)
	}
}

// holderInside is the holder of a run whose Terraform is the first process of a new PID namespace, which lasts until end is called.
func holderInside(t *testing.T) (holder string, end func()) {
	t.Helper()
	// The shell is process 1 of its namespace, and stays until its input ends.
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c",
		`"$0" -test.run '^TestProcessHolder_DiffersBetweenPIDNamespaces$' -test.v </dev/null; cat`,
		os.Args[0])
	command.Env = append(os.Environ(), printHolder+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Skipf("no PID namespace can be made here: %v", err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); holder == "" && lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		_, holder, _ = strings.Cut(lines.Text(), "holder: ")
	}
	if !strings.Contains(holder, "terraform process 1 ") {
		t.Fatalf("the parent is not the first process of its namespace:\n%s", text.String())
	}
	return holder, func() {
		_ = in.Close()
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	}
}

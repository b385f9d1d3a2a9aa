// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// processes starts and waits for child processes in a process that is PID 1. A PID 1 must collect every orphan of its
// namespace (each container leaves some), which os/exec cannot do in addition to its own waiting: so one goroutine
// collects all and passes the known ones to their starters.
type processes struct {
	mu    sync.Mutex
	known map[int]chan syscall.WaitStatus
}

// collect makes the processes and begins to collect children, for as long as the process lives.
func collect() *processes {
	p := &processes{known: map[int]chan syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			p.collectEnded()
		}
	}()
	return p
}

func (p *processes) collectEnded() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		p.mu.Lock() // start holds it until the child is known
		if exited, ok := p.known[pid]; ok {
			delete(p.known, pid)
			exited <- status
		}
		p.mu.Unlock()
	}
}

// process is a running child.
type process struct {
	pid    int
	exited chan syscall.WaitStatus // receives one value
}

// start starts the program args[0], an absolute path. Its output goes to the file at logPath, appended.
func (p *processes) start(args, env []string, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{
		Dir:   "/",
		Env:   env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", strings.Join(args, " "), err)
	}
	child := &process{pid: pid, exited: make(chan syscall.WaitStatus, 1)}
	p.known[pid] = child.exited
	return child, nil
}

// stop terminates a child, and kills it after grace.
func (c *process) stop(grace time.Duration) {
	_ = syscall.Kill(c.pid, syscall.SIGTERM) // fails if it has ended, which is what is wanted
	select {
	case <-c.exited:
	case <-time.After(grace):
		_ = syscall.Kill(c.pid, syscall.SIGKILL)
		<-c.exited
	}
}

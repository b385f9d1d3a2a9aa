// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// supervisorArg is how the running executable is called when it is to be the supervisor: `ps` shows it.
const supervisorArg = "slipway-cluster-supervisor"

// Files that the supervisor inherits.
const (
	goAheadFile = 3 // a pipe that `up` writes to when the network is there
	lockedFile  = 4 // the supervisor's lock, held as long as it lives
)

func init() {
	if os.Args[0] != supervisorArg || os.Getpid() != 1 || len(os.Args) != 2 {
		return
	}
	log.SetFlags(log.Ldate | log.Ltime | log.Lmicroseconds)
	c, err := openDir(os.Args[1])
	if err == nil {
		err = c.supervise()
	}
	if err != nil {
		log.Fatalf("supervisor: %v", err)
	}
	os.Exit(0) // the kernel now kills every process of the PID namespace, and with the last one go mounts and network
}

// startSupervisor starts the supervisor in new namespaces, connects its network to the host and lets it continue. If the
// calling process is killed before that, the supervisor ends by itself.
func (c *Cluster) startSupervisor() error {
	lock, err := os.OpenFile(c.supervisorLock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	if err := lock.Truncate(0); err != nil {
		return err
	}
	output, err := os.OpenFile(c.logFile("supervisor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	waiting, goAhead, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = waiting.Close(); _ = goAhead.Close() }()

	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{supervisorArg, c.dir},
		Dir:        "/",
		Env:        []string{"PATH=" + systemPath, "HOME=/root"}, // no proxies, no credentials of the caller
		Stdout:     output,
		Stderr:     output,
		ExtraFiles: []*os.File{waiting, lock},
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true, // Ctrl-C is for `up`, not for the cluster
			Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
				syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		},
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the supervisor in new namespaces: %w", err)
	}
	pid := cmd.Process.Pid
	fail := func(err error) error {
		_ = goAhead.Close()
		return errors.Join(err, cmd.Wait())
	}
	if _, err := fmt.Fprintln(lock, pid); err != nil {
		return fail(err)
	}
	if err := c.connectHost(pid); err != nil {
		return fail(err)
	}
	if _, err := goAhead.WriteString("go\n"); err != nil {
		return fail(err)
	}
	// The caller of Up may outlive the cluster, and then has to collect the supervisor's exit status. How it ended is in its
	// log.
	go func() { _ = cmd.Wait() }()
	return nil
}

// supervise is the life of the supervisor: it creates the node, runs the components until it is stopped, and ends
// them in order.
func (c *Cluster) supervise() error {
	// PID 1 of a namespace is not killed by signals that it does not handle.
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	syscall.CloseOnExec(goAheadFile)
	syscall.CloseOnExec(lockedFile)
	goAhead := os.NewFile(goAheadFile, "go-ahead")
	if message, err := io.ReadAll(io.LimitReader(goAhead, 3)); err != nil || string(message) != "go\n" {
		return errors.Join(errors.New("the command that started the supervisor ended before the network was ready"), err)
	}
	_ = goAhead.Close()

	if err := c.makeCgroups(); err != nil {
		if !c.ControlPlaneOnly() {
			return err
		}
		log.Printf("continuing without cgroups, which only pods need: %v", err)
	}
	if err := c.enterNode(); err != nil {
		return err
	}
	if err := c.connectNode(); err != nil {
		return err
	}
	s := &supervisor{cluster: c, processes: collect(), states: map[string]ComponentState{}}
	s.run(stop)
	return nil
}

// supervisor runs the components of one cluster.
type supervisor struct {
	cluster   *Cluster
	processes *processes
	mu        sync.Mutex
	states    map[string]ComponentState
}

// ComponentState is the supervisor's state of one component.
type ComponentState struct {
	Name     string    `json:"name"`
	Running  bool      `json:"running"`
	PID      int       `json:"pid,omitempty"` // in the cluster's PID namespace
	Since    time.Time `json:"since"`         // when it came to this state
	Restarts int       `json:"restarts"`
	LastExit string    `json:"last_exit,omitempty"`
}

const restartDelay = 500 * time.Millisecond

func (s *supervisor) run(stop context.Context) {
	components := s.cluster.components()
	stops := make([]context.CancelFunc, len(components))
	ended := make([]chan struct{}, len(components))
	for i, comp := range components {
		ctx, cancel := context.WithCancel(context.Background())
		stops[i], ended[i] = cancel, make(chan struct{})
		go func() {
			defer close(ended[i])
			s.keepRunning(ctx, comp)
		}()
	}
	<-stop.Done()
	log.Print("stopping")
	// In groups, the users of a component before it.
	for _, stage := range []stage{agents, apiServer, stores} {
		for i, comp := range components {
			if comp.stage == stage {
				stops[i]()
			}
		}
		for i, comp := range components {
			if comp.stage == stage {
				<-ended[i]
			}
		}
	}
	log.Print("stopped")
}

// keepRunning starts a component, once what it needs is there, and again whenever it ends, until ctx is done.
func (s *supervisor) keepRunning(ctx context.Context, comp component) {
	state := ComponentState{Name: comp.name, Since: time.Now()}
	s.publish(state)
	for {
		if comp.needs != nil {
			if err := poll(ctx, 50*time.Millisecond, comp.needs); err != nil {
				return // it must end while waiting
			}
		}
		child, err := s.startComponent(comp)
		if err != nil {
			log.Print(err)
			state.LastExit = err.Error()
		} else {
			log.Printf("%s started, pid %d", comp.name, child.pid)
			state.Running, state.PID, state.Since = true, child.pid, time.Now()
			s.publish(state)
			select {
			case <-ctx.Done():
				child.stop(comp.stage.grace())
				return
			case status := <-child.exited:
				state.LastExit = describeExit(status)
				log.Printf("%s ended: %s", comp.name, state.LastExit)
			}
		}
		state.Running, state.PID, state.Since = false, 0, time.Now()
		s.publish(state)
		if sleep(ctx, restartDelay) != nil {
			return
		}
		state.Restarts++
	}
}

func (s *supervisor) startComponent(comp component) (*process, error) {
	program, err := lookPath(comp.command[0], s.cluster.instance.Programs...)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", comp.name, err)
	}
	path := "PATH=" + strings.Join(append(s.cluster.Programs(), systemPath), ":")
	args := append([]string{program}, comp.command[1:]...)
	return s.processes.start(args, []string{path, "HOME=/root"}, s.cluster.logFile(comp.name))
}

func (s *supervisor) publish(state ComponentState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[state.Name] = state
	var all []ComponentState
	for _, comp := range s.cluster.components() {
		if st, ok := s.states[comp.name]; ok {
			all = append(all, st)
		}
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = writeFileAtomically(s.cluster.path("components.json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		log.Printf("writing the state of the components: %v", err)
	}
}

// Components returns what the supervisor last wrote about its components; nothing when the cluster does not run.
func (c *Cluster) Components() ([]ComponentState, error) {
	pid, err := c.PID()
	if err != nil || pid == 0 {
		return nil, err
	}
	data, err := os.ReadFile(c.path("components.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var states []ComponentState
	if err := json.Unmarshal(data, &states); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path("components.json"), err)
	}
	return states, nil
}

// logFile is where the output of a component goes, on the host and in the node alike.
func (c *Cluster) logFile(component string) string {
	return c.path("log", component+".log")
}

// rotateLogs keeps the logs of the run before under another name.
func (c *Cluster) rotateLogs() error {
	logs, err := filepath.Glob(c.path("log", "*.log"))
	if err != nil {
		return err
	}
	for _, path := range logs {
		if err := os.Rename(path, strings.TrimSuffix(path, ".log")+".previous"); err != nil {
			return err
		}
	}
	return nil
}

func describeExit(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "killed by signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

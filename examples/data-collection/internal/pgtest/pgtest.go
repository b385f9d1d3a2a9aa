// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package pgtest starts real PostgreSQL servers for tests.
package pgtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	superuser = "postgres"
	startTime = 30 * time.Second
)

// Server is a PostgreSQL server of one test.
type Server struct {
	Port     int    // on 127.0.0.1
	User     string // a superuser, who needs the password
	Password string

	bin, dir string
	account  *syscall.Credential
	process  *exec.Cmd
}

// Start runs a PostgreSQL server on a loopback port until the test ends. It skips the test where PostgreSQL is not
// installed.
func Start(t *testing.T) *Server {
	t.Helper()
	bin := findBin(t)
	// Not t.TempDir: only its owner can enter it, and the server does not run as root.
	dir, err := os.MkdirTemp("", "pgtest-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})

	s := &Server{User: superuser, Password: "pgtest-password", bin: bin, dir: dir, Port: freePort(t)}
	if os.Geteuid() == 0 {
		s.account = unprivileged(t)
	}
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(s.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.account != nil {
		for _, path := range []string{dir, passwordFile} {
			if err := os.Chown(path, int(s.account.Uid), int(s.account.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", s.User, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync")
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	s.Run(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// URL is a connection URL for a database of the server; "postgres" is one that is always there.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(s.User, s.Password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Run starts the server again after Stop, and waits until it takes connections.
func (s *Server) Run(t *testing.T) {
	t.Helper()
	logFile := filepath.Join(s.dir, "log")
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s.process = s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.Port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=8MB")
	s.process.Stdout, s.process.Stderr = log, log
	if err := errors.Join(s.process.Start(), log.Close()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(startTime); ; time.Sleep(50 * time.Millisecond) {
		ready := s.command("pg_isready", "--quiet", "--host", "127.0.0.1", "--port", strconv.Itoa(s.Port))
		if ready.Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			content, err := os.ReadFile(logFile)
			t.Fatalf("PostgreSQL does not answer after %s (%v); its log:\n%s", startTime, err, content)
		}
	}
}

// Stop ends the server and its connections at once. The data stays for another Run.
func (s *Server) Stop(t *testing.T) {
	t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil { // "fast shutdown"
		t.Error(err)
	}
	if err := s.process.Wait(); err != nil {
		t.Errorf("PostgreSQL: %v", err)
	}
	s.process = nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	// Without a context: the server must outlive it, until Stop.
	command := exec.Command(filepath.Join(s.bin, program), args...)
	command.Dir = s.dir
	command.Env = append(os.Environ(), "LC_ALL=C")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.account, Setpgid: true}
	return command
}

// findBin is the directory of PostgreSQL's programs. Debian keeps them off the PATH.
func findBin(t *testing.T) string {
	t.Helper()
	candidates, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(candidates)
	slices.Reverse(candidates)
	if onPath, err := exec.LookPath("initdb"); err == nil {
		if resolved, err := filepath.EvalSymlinks(onPath); err == nil {
			candidates = append([]string{resolved}, candidates...)
		}
	}
	for _, initdb := range candidates {
		if _, err := os.Stat(filepath.Join(filepath.Dir(initdb), "postgres")); err == nil {
			return filepath.Dir(initdb)
		}
	}
	t.Skip("PostgreSQL is not installed: initdb is neither on the PATH nor in /usr/lib/postgresql (Debian: apt-get install postgresql)")
	return ""
}

// unprivileged is an account for the server, which refuses to run as root.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			t.Fatal(fmt.Errorf("account %s: %w", name, err))
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("unexpected address %v", listener.Addr())
	}
	return address.Port
}

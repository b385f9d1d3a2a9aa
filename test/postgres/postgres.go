// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package postgres runs real PostgreSQL servers for tests and the demo: an own data directory, an own port, no service of
// the machine.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	superuser = "postgres"
	startTime = 30 * time.Second
	stopTime  = 10 * time.Second
)

// ErrNotInstalled means that this machine has no PostgreSQL.
var ErrNotInstalled = errors.New("PostgreSQL is not installed: initdb is neither on the PATH nor in /usr/lib/postgresql " +
	"(Debian: apt-get install postgresql)")

// Options are how a server is reached.
type Options struct {
	// Address is the IP address to listen on, default 127.0.0.1. Pods of the local Kubernetes reach one of the node.
	Address string
	// Port is the TCP port. 0: a free one.
	Port int
	// Version is the major version, one of Versions. 0: that of the machine.
	Version int
}

// Server is a running PostgreSQL server. Clients need the password.
type Server struct {
	Address  string
	Port     int
	User     string // a superuser
	Password string

	bin, dir string
	psql     string       // the client's program
	reserved net.Listener // the port; nil where the caller chose it
	account  *syscall.Credential
	process  *exec.Cmd
	ended    chan error
}

// ForTest starts a server that ends with the test, and skips the test where PostgreSQL is not installed.
func ForTest(t *testing.T) *Server {
	t.Helper()
	return forTest(t, Options{})
}

func forTest(t *testing.T, options Options) *Server {
	t.Helper()
	server, err := Start(t.Context(), options)
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Start makes a data directory below the system's directory for temporary files and runs a server on it. The context
// limits the start alone. The caller must Remove it.
func Start(ctx context.Context, options Options) (_ *Server, err error) {
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "slipway-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Address: cmp.Or(options.Address, "127.0.0.1"), Port: options.Port, User: superuser, Password: "canary-" + filepath.Base(dir),
		bin: bin, dir: dir, psql: filepath.Join(bin, "psql"),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove())
		}
	}()
	if options.Version != 0 { // whose package has no psql: that of the machine serves all versions
		if s.bin, err = s.copyCached(options.Version); err != nil {
			return nil, err
		}
	}
	if s.Port == 0 {
		if s.Port, s.reserved, err = reservePort(ctx, s.Address); err != nil {
			return nil, err
		}
	}
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(s.Password+"\n"), 0o600); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // as which PostgreSQL does not run
		if s.account, err = unprivileged(); err != nil {
			return nil, err
		}
		for _, path := range []string{dir, passwordFile} {
			if err := os.Chown(path, int(s.account.Uid), int(s.account.Gid)); err != nil {
				return nil, err
			}
		}
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", s.User, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync")
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, output)
	}
	hba, err := os.OpenFile(filepath.Join(s.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = hba.WriteString("host all all all scram-sha-256\n")
	if err = errors.Join(err, hba.Close()); err != nil {
		return nil, err
	}
	return s, s.Run(ctx)
}

// URL is a connection URL for a database of the server; "postgres" is one that is always there.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(s.User, s.Password), Host: net.JoinHostPort(s.Address, strconv.Itoa(s.Port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Run starts the server again after Stop, and waits until it takes connections.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	logFile := filepath.Join(s.dir, "log")
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.process = s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.Port), "-k", s.dir,
		"-c", "listen_addresses="+s.Address, "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c",
		"wal_level=logical")
	s.process.Stdout, s.process.Stderr = log, log
	if err := errors.Join(s.process.Start(), log.Close()); err != nil {
		s.process = nil
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.ended = make(chan error, 1)
	go func(process *exec.Cmd, ended chan error) { ended <- process.Wait() }(s.process, s.ended)
	for {
		if s.ready() {
			return nil
		}
		select {
		case err := <-s.ended:
			s.process = nil
			content, readErr := os.ReadFile(logFile)
			return errors.Join(fmt.Errorf("PostgreSQL ended: %w; its log:\n%s", err, content), readErr)
		case <-ctx.Done():
			content, readErr := os.ReadFile(logFile)
			return errors.Join(fmt.Errorf("PostgreSQL does not answer: %w; its log:\n%s", ctx.Err(), content), readErr)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the server and its connections at once. The data stays for another Run.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil { // "fast shutdown"
		return err
	}
	defer func() { s.process = nil }()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(stopTime):
		return errors.Join(errors.New("PostgreSQL did not end, and was killed"), s.process.Process.Kill())
	}
}

// Remove ends the server and removes its data.
func (s *Server) Remove() error {
	err := errors.Join(s.Stop(), os.RemoveAll(s.dir))
	if s.reserved != nil {
		err = errors.Join(err, s.reserved.Close())
		s.reserved = nil
	}
	return err
}

// Psql runs SQL as the superuser and returns what it prints, without headers.
func (s *Server) Psql(ctx context.Context, database, sql string) (string, error) {
	command := exec.CommandContext(ctx, s.psql, "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
		"--command", sql)
	command.Env = append(os.Environ(), "PGHOST="+s.Address, "PGPORT="+strconv.Itoa(s.Port), "PGUSER="+s.User, "PGPASSWORD="+s.Password,
		"PGDATABASE="+database)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w\n%s", err, output)
	}
	return strings.TrimSpace(string(output)), nil
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
func findBin() (string, error) {
	candidates, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
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
			return filepath.Dir(initdb), nil
		}
	}
	return "", ErrNotInstalled
}

// unprivileged is an account for the server, which refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// reservePort finds a free port for a server and keeps it from the other tests of this machine, also while the server does
// not listen yet or is stopped, until the listener that it returns is closed or the process ends. The ports lie below those
// that the kernel gives to connections, and below Kubernetes' node ports.
func reservePort(ctx context.Context, address string) (int, net.Listener, error) {
	const first, count = 20000, 10000
	for {
		port := first + rand.IntN(count)
		// An abstract socket: the kernel removes it with the process, however that ends.
		reserved, err := (&net.ListenConfig{}).Listen(ctx, "unix", fmt.Sprintf("@slipway-postgres-%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return port, reserved, free.Close()
		}
		if closeErr := reserved.Close(); closeErr != nil || !errors.Is(err, syscall.EADDRINUSE) {
			return 0, nil, errors.Join(err, closeErr)
		}
	}
}

// ready reports whether the server's own process accepts connections; pg_isready would also accept another server on the
// port. The lines of the file are PostgreSQL's: the first is the process's id, the eighth its status.
func (s *Server) ready() bool {
	content, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return false // not written yet
	}
	lines := strings.Split(string(content), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(s.process.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}

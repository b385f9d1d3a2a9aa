// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/test/debian"
)

func TestOpen_DistinguishesPoolersThatShareConnectionsFromOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("it unpacks and starts PgBouncer")
	}
	for mode, refused := range map[string]bool{"transaction": true, "statement": true, "session": false} {
		t.Run(mode, func(t *testing.T) {
			d := newDatabase(t)
			config := d.config(file("00001_a.sql", "CREATE TABLE a (b int);\n"))
			config.DSN = strings.Replace(config.DSN, fmt.Sprintf(":%d/", server.Port), fmt.Sprintf(":%d/", startBouncer(t, mode)), 1)
			r, err := Open(t.Context(), config)
			var pooler *PoolerError
			if refused != errors.As(err, &pooler) {
				// In statement mode PgBouncer itself refuses transactions.
				if mode != "statement" || err == nil {
					t.Fatalf("got %v", err)
				}
			}
			if err != nil {
				return
			}
			if _, err := r.Up(t.Context()); err != nil {
				t.Error(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			d.want("SELECT to_regclass('a') IS NOT NULL", "t")
		})
	}
}

// startBouncer runs Debian's PgBouncer before the server until the test ends, and returns its port.
func startBouncer(t *testing.T, mode string) int {
	t.Helper()
	program, err := debian.Unpack(t.Context(), "pgbouncer")
	if err != nil {
		t.Skipf("PgBouncer is not to be had: %v", err)
	}
	var libraries []string
	for _, name := range []string{"libc-ares2", "libevent-2.1-7"} {
		dir, err := debian.Unpack(t.Context(), name)
		if err != nil {
			t.Skipf("PgBouncer's libraries are not to be had: %v", err)
		}
		libraries = append(libraries, filepath.Join(dir, "usr/lib/x86_64-linux-gnu"), filepath.Join(dir, "usr/lib/aarch64-linux-gnu"))
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, portText, err := net.SplitHostPort(listener.Addr().String())
	if err = errors.Join(err, listener.Close()); err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgbouncer-") //nolint:usetesting // PgBouncer does not run as root, and must get in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	settings := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\n"+
		"unix_socket_dir=\nauth_type=plain\nauth_file=%s/users\npool_mode=%s\nmax_client_conn=50\ndefault_pool_size=10\n"+
		"ignore_startup_parameters=extra_float_digits\n",
		server.Port, port, dir, mode)
	for name, content := range map[string]string{"pgbouncer.ini": settings, "users": fmt.Sprintf("%q %q\n", server.User, server.Password)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("/bin/true")
	command.Path = filepath.Join(program, "usr/sbin/pgbouncer")
	command.Args = []string{command.Path, filepath.Join(dir, "pgbouncer.ini")}
	command.Env = []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, ":")}
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		// The cache of the packages may be closed to others.
		local := filepath.Join(dir, "pgbouncer")
		content, err := os.ReadFile(command.Path)
		if err = errors.Join(err, os.WriteFile(local, content, 0o755)); err != nil {
			t.Fatal(err)
		}
		command.Path = local
		for _, from := range libraries {
			matches, err := filepath.Glob(filepath.Join(from, "*.so*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, library := range matches {
				content, err := os.ReadFile(library)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, filepath.Base(library)), content, 0o755)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		command.Env = []string{"LD_LIBRARY_PATH=" + dir}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	var output safeBuffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		if err := <-ended; err != nil && command.ProcessState.Exited() {
			t.Errorf("PgBouncer: %v", err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", portText))
		if err == nil {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			return port
		}
		if time.Now().After(deadline) {
			t.Fatalf("PgBouncer does not answer: %v\n%s", err, output.String())
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// A file that a killed run left may name an address at which another process listens now. Where the address is of no cluster
// any more, that may be the network's gateway, which takes every connection.
func TestReadServer_TakesOnlyTheServerThatTheFileNames(t *testing.T) {
	running := postgres.ForTest(t)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	elsewhere := netip.MustParseAddrPort(web.Listener.Addr().String())
	about := databaseServer{Host: running.Address, Port: running.Port, User: running.User, Password: running.Password, SSLMode: "disable"}
	for name, test := range map[string]struct {
		change func(*databaseServer)
		taken  bool
	}{
		"the server itself": {func(*databaseServer) {}, true},
		"no PostgreSQL":     {func(s *databaseServer) { s.Port = int(elsewhere.Port()) }, false},
		"another server":    {func(s *databaseServer) { s.Password = "of-the-one-before" }, false},
		"nothing":           {func(s *databaseServer) { s.Port = 1 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			written := about
			test.change(&written)
			file := filepath.Join(t.TempDir(), serverFile)
			if err := written.write(file); err != nil {
				t.Fatal(err)
			}
			read, err := readServer(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			if taken := read != nil; taken != test.taken {
				t.Errorf("taken: %t, want %t", taken, test.taken)
			}
			if test.taken && *read != about {
				t.Errorf("read a server at port %d, want %d, or other credentials", read.Port, about.Port)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("others can read the password: %v, %v", info, err)
			}
		})
	}
}

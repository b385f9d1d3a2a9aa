// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// A server that restarts, behind an address that nothing answers for a moment, is asked again.
func TestConnect_WaitsForAServerThatIsGoneForAMoment(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // It is TCP.
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, func() {
		back, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = back.Close() })
		for n := 0; ; n++ {
			client, err := back.Accept()
			if err != nil {
				return // the test is over
			}
			if n == 0 {
				_ = client.Close() // The client sees the end of the connection.
				continue
			}
			target, err := net.Dial("tcp", net.JoinHostPort(server.Address, fmt.Sprint(server.Port)))
			if err != nil {
				t.Error(err)
				return
			}
			go func() { _, _ = io.Copy(target, client); _ = target.Close() }() // It ends with the client.
			go func() { _, _ = io.Copy(client, target); _ = client.Close() }() // It ends with the server.
		}
	})
	to := Server{Host: "127.0.0.1", Port: int64(port), SSLMode: "disable", AdminUser: server.User}
	conn, err := to.connect(t.Context(), server.User, server.Password, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

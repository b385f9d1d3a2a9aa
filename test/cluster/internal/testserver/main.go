// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command testserver is what runs in the pods of this package's tests.
//
//	testserver serve            answer HTTP on :8080 with the host's name
//	testserver resolve NAME     print the addresses of NAME
//	testserver get URL          print what URL answers
//	testserver print TEXT       print TEXT
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) == 2 && args[0] == "resolve":
		addresses, err := net.DefaultResolver.LookupHost(context.Background(), args[1])
		fmt.Println(addresses)
		return err
	case len(args) == 2 && args[0] == "get":
		response, err := (&http.Client{Timeout: 2 * time.Second}).Get(args[1])
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		_, err = io.Copy(os.Stdout, response.Body)
		return err
	case len(args) == 2 && args[0] == "print":
		fmt.Println(args[1])
		return nil
	}
	return fmt.Errorf("cannot do %q", args)
}

func serve() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s\n", host, r.URL.Path)
	})}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Println("listening on", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/config"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/faults"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/service"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/store"
)

// crashCode is the exit code of a requested crash, so that it differs from a real one.
const crashCode = 3

// listening is the addresses of the service, which matter when the system chooses the ports.
type listening struct {
	http, grpc net.Addr
}

// serve answers until ctx ends, then finishes the requests under way. It calls started once it listens.
func serve(ctx context.Context, getenv func(string) string, logs io.Writer, started func(listening)) error {
	settings, err := config.Load(getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: settings.LogLevel}))
	if settings.Faults.CrashOnStart {
		return &exitError{code: crashCode, reason: "the process ends because CRASH_ON_START is set"}
	}

	records, closeStore, err := openStore(ctx, settings)
	if err != nil {
		return err
	}
	defer closeStore()

	reported := cmp.Or(settings.Faults.ReportVersion, version)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	svc := service.New(service.Options{
		Info:           service.Info{Version: reported, Commit: commit, Client: settings.Client, Stage: settings.Stage},
		Store:          records,
		Token:          settings.APIToken,
		MaxRecordBytes: settings.MaxRecordBytes,
		ReadyTimeout:   settings.ReadyTimeout,
		Faults:         faults.NewInjector(settings.Faults),
		Registry:       registry,
		Log:            log,
	})

	var listen net.ListenConfig
	httpListener, err := listen.Listen(ctx, "tcp", settings.HTTPAddress)
	if err != nil {
		return fmt.Errorf("listening for HTTP: %w", err)
	}
	grpcListener, err := listen.Listen(ctx, "tcp", settings.GRPCAddress)
	if err != nil {
		return errors.Join(fmt.Errorf("listening for gRPC: %w", err), httpListener.Close())
	}

	httpServer := &http.Server{
		Handler:           svc.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	grpcServer := svc.GRPC(ctx)

	failed := make(chan error, 2)
	go func() { failed <- fmt.Errorf("serving HTTP: %w", httpServer.Serve(httpListener)) }()
	go func() { failed <- fmt.Errorf("serving gRPC: %w", grpcServer.Serve(grpcListener)) }()
	log.Info("listening",
		"version", reported, "client", settings.Client, "stage", settings.Stage, "store", records.Name(),
		"http", httpListener.Addr().String(), "grpc", grpcListener.Addr().String())
	started(listening{http: httpListener.Addr(), grpc: grpcListener.Addr()})

	var crash <-chan time.Time
	if settings.Faults.CrashAfter > 0 {
		crash = time.After(settings.Faults.CrashAfter)
	}
	select {
	case <-crash:
		// Like a real crash: requests under way are cut off.
		return &exitError{code: crashCode, reason: fmt.Sprintf("the process ends because CRASH_AFTER=%s has passed", settings.Faults.CrashAfter)}
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	log.Info("shutting down", "timeout", settings.ShutdownTimeout.String())
	svc.Stop()
	return shutDown(httpServer, grpcServer, settings.ShutdownTimeout)
}

type closableStore interface {
	service.Store
	Close()
}

func openStore(ctx context.Context, settings config.Config) (service.Store, func(), error) {
	var (
		opened closableStore
		err    error
	)
	if settings.DatabaseURL == "" {
		opened = store.NewMemory(settings.MemoryRecords, settings.MemoryBytes)
	} else {
		// The pool must outlive ctx: requests under way are finished after it.
		opened, err = store.NewPostgres(context.WithoutCancel(ctx), settings.DatabaseURL, settings.CreateTable)
	}
	if err != nil {
		return nil, nil, err
	}
	return opened, opened.Close, nil
}

// shutDown lets requests under way finish, for at most timeout, on both servers at once.
func shutDown(httpServer *http.Server, grpcServer *grpc.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	stopped := make(chan struct{})
	go func() {
		grpcServer.GracefulStop()
		close(stopped)
	}()
	httpErr := httpServer.Shutdown(ctx)
	if httpErr != nil {
		httpErr = errors.Join(fmt.Errorf("finishing HTTP requests within %s: %w", timeout, httpErr), httpServer.Close())
	}
	select {
	case <-stopped:
	case <-ctx.Done():
		grpcServer.Stop()
		<-stopped
		return errors.Join(httpErr, fmt.Errorf("finishing gRPC calls within %s: %w", timeout, ctx.Err()))
	}
	return httpErr
}

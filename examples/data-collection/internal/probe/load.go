// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// LoadOptions define the load.
type LoadOptions struct {
	// URL is of HTTP, or what a gRPC client dials, such as xds:///data-collection-service.client-a.svc.cluster.local:9090,
	// which takes its routes from the control plane of a mesh.
	URL string
	// Headers are sent with each request, as metadata where it is gRPC.
	Headers  map[string]string
	Duration time.Duration
	// Rate is requests per second, of all workers together.
	Rate float64
	// Workers is how many requests may be under way at once.
	Workers int
	// Timeout is for one request.
	Timeout time.Duration
	// KeepAlive uses connections again, as most clients do. Without it, each request is balanced separately.
	KeepAlive bool
	// Every is how often Progress gets the report so far; 0 is never.
	Every    time.Duration
	Progress func(Report)
}

// RunLoad makes load and prints the Report, and with -every also the one so far, each on a line. It fails when a request
// failed.
func RunLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o LoadOptions
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long to send requests")
	flags.Float64Var(&o.Rate, "rate", 50, "requests per second")
	flags.IntVar(&o.Workers, "workers", 8, "requests under way at once, at most")
	flags.DurationVar(&o.Timeout, "timeout", 5*time.Second, "how long one request may take")
	flags.BoolVar(&o.KeepAlive, "keep-alive", false, "use connections again")
	flags.Func("header", "a `name=value` to send with each request (repeatable)", func(text string) error {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return fmt.Errorf("%q is not name=value", text)
		}
		if o.Headers == nil {
			o.Headers = map[string]string{}
		}
		o.Headers[name] = value
		return nil
	})
	flags.DurationVar(&o.Every, "every", 0, "how often to print the report so far, on one line")
	url, err := parse(flags, args)
	if err != nil {
		return err
	}
	o.URL = url
	if o.Rate <= 0 || o.Workers < 1 || o.Duration <= 0 {
		return fmt.Errorf("%w: -rate, -workers and -duration must be positive", ErrUsage)
	}

	encoder := json.NewEncoder(stdout)
	var printing error
	if o.Every > 0 {
		o.Progress = func(report Report) { printing = errors.Join(printing, encoder.Encode(report)) }
	} else {
		encoder.SetIndent("", "  ")
	}
	report, err := Load(ctx, o)
	if err := errors.Join(err, printing, encoder.Encode(report)); err != nil {
		return err
	}
	switch {
	case report.Failed > 0:
		return fmt.Errorf("load: %d of %d requests failed", report.Failed, report.Requests)
	case report.Requests == 0:
		return errors.New("load: no request was sent")
	}
	return nil
}

// server answers the requests of a load. The code is of HTTP or gRPC; an error means that there was no answer.
type server interface {
	ask(ctx context.Context) (answer, error)
	Close() error
}

type answer struct {
	code    string
	good    bool
	version string // that answered; empty where it is not known
	// reselected is how often the client chose a route again before it sent the request.
	reselected int
}

// Load sends requests until the duration has passed or ctx ends. Requests under way are then finished. The error says that
// requests could not be sent at all.
func Load(ctx context.Context, o LoadOptions) (report Report, err error) {
	dial := dialGRPC
	if strings.HasPrefix(o.URL, "http://") || strings.HasPrefix(o.URL, "https://") {
		dial = dialHTTP
	}
	asked, err := dial(o)
	if err != nil {
		return Report{}, fmt.Errorf("load: %w", err)
	}
	defer func() { err = errors.Join(err, asked.Close()) }()

	counts := newTally()
	due := make(chan struct{})
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for range due {
				// Not under ctx: a request that is cut off by the end of the load is no failure of the server.
				sent := time.Now()
				got, err := asked.ask(context.WithoutCancel(ctx))
				counts.count(sent, got, err)
			}
		})
	}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / o.Rate))
	defer ticker.Stop()
	end := time.After(o.Duration)
	var progress <-chan time.Time
	if o.Every > 0 && o.Progress != nil {
		reports := time.NewTicker(o.Every)
		defer reports.Stop()
		progress = reports.C
	}
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-end:
			running = false
		case <-progress:
			o.Progress(counts.soFar())
		case <-ticker.C:
			select {
			case due <- struct{}{}:
			default: // every worker is busy: fewer requests, rather than a queue
			}
		}
	}
	close(due)
	workers.Wait()
	return counts.soFar(), nil
}

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
	"net/http"
	"strings"
	"sync"
	"time"
)

// LoadOptions say how much load to make.
type LoadOptions struct {
	URL      string
	Duration time.Duration
	// Rate is requests per second, of all workers together.
	Rate float64
	// Workers is how many requests may be under way at once.
	Workers int
	// Timeout is for one request.
	Timeout time.Duration
	// KeepAlive uses connections again, as most clients do. Without, each request is balanced anew.
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
	report := Load(ctx, o)
	if err := errors.Join(printing, encoder.Encode(report)); err != nil {
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

// Load sends requests until the duration has passed or ctx ends. Requests under way are then finished.
func Load(ctx context.Context, o LoadOptions) Report {
	client := &http.Client{Timeout: o.Timeout, Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DisableKeepAlives:   !o.KeepAlive,
		MaxIdleConnsPerHost: o.Workers,
	}}
	defer client.CloseIdleConnections()

	counts := newTally()
	due := make(chan struct{})
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for range due {
				// Not under ctx: a request that is cut off by the end of the load is no failure of the server.
				sent := time.Now()
				code, version, err := get(context.WithoutCancel(ctx), client, o.URL)
				counts.count(sent, code, version, err)
			}
		})
	}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / o.Rate))
	defer ticker.Stop()
	end := time.After(o.Duration)
	var report <-chan time.Time
	if o.Every > 0 && o.Progress != nil {
		reports := time.NewTicker(o.Every)
		defer reports.Stop()
		report = reports.C
	}
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-end:
			running = false
		case <-report:
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
	return counts.soFar()
}

func get(ctx context.Context, client *http.Client, url string) (code int, version string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	if err != nil {
		return 0, "", err
	}
	if name, version, found := strings.Cut(answer.Header.Get("Server"), "/"); found && name == "data-collection" {
		return answer.StatusCode, version, nil
	}
	var fields struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(body, &fields) != nil {
		return answer.StatusCode, "", nil // not every answer is JSON
	}
	return answer.StatusCode, fields.Version, nil
}

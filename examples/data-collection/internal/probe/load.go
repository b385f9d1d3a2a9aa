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
	"strconv"
	"sync"
	"time"
)

// Report says how the requests of a load were answered.
type Report struct {
	Requests int `json:"requests"`
	// Failed counts answers other than 2xx and requests without an answer.
	Failed int `json:"failed"`
	// Codes counts answers by status code; "none" are requests without an answer.
	Codes map[string]int `json:"codes"`
	// Versions counts answers by their JSON field "version".
	Versions map[string]int `json:"versions"`
	// Errors are the first few different reasons why requests had no answer.
	Errors []string `json:"errors,omitempty"`
}

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
}

// RunLoad makes load and prints the Report. It fails when a request failed.
func RunLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o LoadOptions
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long to send requests")
	flags.Float64Var(&o.Rate, "rate", 50, "requests per second")
	flags.IntVar(&o.Workers, "workers", 8, "requests under way at once, at most")
	flags.DurationVar(&o.Timeout, "timeout", 5*time.Second, "how long one request may take")
	flags.BoolVar(&o.KeepAlive, "keep-alive", false, "use connections again")
	url, err := parse(flags, args)
	if err != nil {
		return err
	}
	o.URL = url
	if o.Rate <= 0 || o.Workers < 1 || o.Duration <= 0 {
		return fmt.Errorf("%w: -rate, -workers and -duration must be positive", ErrUsage)
	}

	report := Load(ctx, o)
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(report); err != nil {
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

	var (
		mu      sync.Mutex
		report  = Report{Codes: map[string]int{}, Versions: map[string]int{}}
		reasons = map[string]bool{}
	)
	count := func(code int, version string, err error) {
		mu.Lock()
		defer mu.Unlock()
		report.Requests++
		if err != nil || code < 200 || code > 299 {
			report.Failed++
		}
		if err == nil {
			report.Codes[strconv.Itoa(code)]++
		} else {
			report.Codes["none"]++
			if reason := err.Error(); len(reasons) < 10 && !reasons[reason] {
				reasons[reason] = true
				report.Errors = append(report.Errors, reason)
			}
		}
		if version != "" {
			report.Versions[version]++
		}
	}

	due := make(chan struct{})
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for range due {
				// Not under ctx: a request that is cut off by the end of the load is no failure of the server.
				count(get(context.WithoutCancel(ctx), client, o.URL))
			}
		})
	}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / o.Rate))
	defer ticker.Stop()
	end := time.After(o.Duration)
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-end:
			running = false
		case <-ticker.C:
			select {
			case due <- struct{}{}:
			default: // every worker is busy: fewer requests, rather than a queue
			}
		}
	}
	close(due)
	workers.Wait()
	return report
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
	var fields struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(body, &fields) != nil {
		return answer.StatusCode, "", nil // answers other than /version need not be JSON
	}
	return answer.StatusCode, fields.Version, nil
}

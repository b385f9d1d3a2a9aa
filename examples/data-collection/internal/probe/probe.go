// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package probe sends requests to HTTP servers, from an image that has neither a shell nor curl.
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
	"time"
)

// ErrUsage means that the arguments are wrong.
var ErrUsage = errors.New("wrong arguments")

// bodyLimit is how much of an answer is read.
const bodyLimit = 64 << 10

// Run requests a URL until the answer is as expected, or retry has passed, and prints the last answer.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	timeout := flags.Duration("timeout", 5*time.Second, "how long one request may take")
	retry := flags.Duration("retry", 0, "how long to repeat the request while the answer is not the expected one")
	expect := flags.String("expect", "", "a `key=value` that the JSON answer must have, for example version=v1.2.0")
	url, err := parse(flags, args)
	if err != nil {
		return err
	}
	key, value, ok := strings.Cut(*expect, "=")
	if *expect != "" && !ok {
		return fmt.Errorf("%w: -expect %q is not key=value", ErrUsage, *expect)
	}

	client := &http.Client{
		Timeout: *timeout,
		// A connection of its own for each request, so that asking again reaches another pod.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
	}
	giveUp := time.Now().Add(*retry)
	for {
		body, err := ask(ctx, client, url, key, value)
		if err == nil {
			_, err = stdout.Write(body)
			return err
		}
		if ctx.Err() != nil || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// parse parses flags and the one URL after them.
func parse(flags *flag.FlagSet, args []string) (string, error) {
	if err := flags.Parse(args); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if flags.NArg() != 1 {
		return "", fmt.Errorf("%w: %s needs exactly one URL, %d are given", ErrUsage, flags.Name(), flags.NArg())
	}
	return flags.Arg(0), nil
}

func ask(ctx context.Context, client *http.Client, url, key, value string) (_ []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	if err != nil {
		return nil, fmt.Errorf("probe: reading the answer of %s: %w", url, err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, fmt.Errorf("probe: %s answered %s: %s", url, answer.Status, strings.TrimSpace(string(body)))
	}
	if key == "" {
		return body, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("probe: the answer of %s is not a JSON object: %w", url, err)
	}
	if got := fmt.Sprint(fields[key]); got != value {
		return nil, fmt.Errorf("probe: %s answered %s %q, expected %q", url, key, got, value)
	}
	return body, nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// serviceName is the Service that the chart makes under its default release name.
const serviceName = "data-collection-service"

// expectVersions asks both services over HTTP, through the API server, and compares.
func expectVersions(ctx context.Context, s *screen, p place, wantA, wantB string) error {
	for _, expected := range []struct {
		client  client
		version string
	}{{clientA, wantA}, {clientB, wantB}} {
		path := fmt.Sprintf("/api/v1/namespaces/%s/services/%s:http/proxy/version", expected.client.namespace, serviceName)
		s.say("%s", s.style("32", "$ kubectl get --raw "+path))
		answer, err := ask(ctx, p, path)
		if err != nil {
			return err
		}
		s.say("%s", answer)
		var body struct {
			Version string `json:"version"`
		}
		if err := json.Unmarshal([]byte(answer), &body); err != nil {
			return fmt.Errorf("the answer of %s is no JSON: %w", expected.client.name, err)
		}
		if body.Version != expected.version {
			return fmt.Errorf("%s runs %s, expected %s", expected.client.name, body.Version, expected.version)
		}
	}
	return nil
}

// ask gets a path of the API server. A Service that was made a moment ago may not answer before the proxy knows its pods.
func ask(ctx context.Context, p place, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		answer, err := p.client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		if err == nil {
			return strings.TrimSpace(string(answer)), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("asking %s: %w", path, err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

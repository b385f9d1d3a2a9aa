// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type httpServer struct {
	client  *http.Client
	url     string
	headers map[string]string
}

func dialHTTP(o LoadOptions) (server, error) {
	return &httpServer{url: o.URL, headers: o.Headers, client: &http.Client{Timeout: o.Timeout, Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DisableKeepAlives:   !o.KeepAlive,
		MaxIdleConnsPerHost: o.Workers,
	}}}, nil
}

func (s *httpServer) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

func (s *httpServer) ask(ctx context.Context) (_ answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return answer{}, err
	}
	for name, value := range s.headers {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err != nil {
		return answer{}, err
	}
	got := answer{code: strconv.Itoa(response.StatusCode), good: response.StatusCode >= 200 && response.StatusCode <= 299}
	if name, version, found := strings.Cut(response.Header.Get("Server"), "/"); found && name == "data-collection" {
		got.version = version
		return got, nil
	}
	var fields struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(body, &fields) == nil { // not every answer is JSON
		got.version = fields.Version
	}
	return got, nil
}

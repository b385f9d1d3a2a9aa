// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Handler answers HTTP requests.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /records", s.counted("/records", s.authorized(s.addRecord)))
	mux.Handle("GET /records", s.counted("/records", s.authorized(s.listRecords)))
	mux.Handle("GET /version", s.counted("/version", s.version))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		s.reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{}))
	// One label for every unknown path, or anybody could make time series without end.
	mux.Handle("/", s.counted("other", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/records":
			w.Header().Set("Allow", "GET, HEAD, POST")
			s.fail(w, http.StatusMethodNotAllowed, r.Method+" is not possible on /records")
		case "/version", "/healthz", "/readyz", "/metrics":
			w.Header().Set("Allow", "GET, HEAD")
			s.fail(w, http.StatusMethodNotAllowed, r.Method+" is not possible on "+r.URL.Path)
		default:
			s.fail(w, http.StatusNotFound, "there is nothing at "+r.URL.Path)
		}
	}))
	return mux
}

func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	if err := s.Ready(r.Context()); err != nil {
		s.Log.WarnContext(r.Context(), "not ready", "reason", err.Error())
		s.fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	s.reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *Service) version(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, s.Info)
}

func (s *Service) addRecord(w http.ResponseWriter, r *http.Request) {
	rec, err := record.Decode(http.MaxBytesReader(w, r.Body, s.MaxRecordBytes))
	if err == nil {
		rec, err = s.Store.Add(r.Context(), rec)
	}
	var (
		invalid *record.InvalidError
		large   *http.MaxBytesError
	)
	switch {
	case err == nil:
		s.reply(w, http.StatusCreated, map[string]any{"id": rec.ID, "received_at": rec.ReceivedAt})
	case errors.As(err, &invalid):
		s.fail(w, http.StatusBadRequest, invalid.Reason)
	case errors.As(err, &large):
		s.fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the record is larger than %d bytes", large.Limit))
	default:
		s.broken(w, r, "the record was not stored", err)
	}
}

func (s *Service) listRecords(w http.ResponseWriter, r *http.Request) {
	limit := defaultLimit
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			s.fail(w, http.StatusBadRequest, fmt.Sprintf("limit is %q: a whole number from 1 to %d is needed", text, maxLimit))
			return
		}
		limit = n
	}
	records, err := s.Store.List(r.Context(), limit)
	if err != nil {
		s.broken(w, r, "the records cannot be read", err)
		return
	}
	if records == nil {
		records = []record.Record{} // "[]" rather than "null"
	}
	s.reply(w, http.StatusOK, map[string]any{"records": records})
}

// authorized refuses requests without the token, where one is set.
func (s *Service) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.allows(r.Header.Get("Authorization")) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, http.StatusUnauthorized, "the header \"Authorization: Bearer …\" with the API token is needed")
			return
		}
		next(w, r)
	}
}

// counted injects the requested faults and counts the answer under the handler's name.
func (s *Service) counted(handler string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := &statusRecorder{ResponseWriter: w, code: http.StatusOK}
		if s.Faults.Request(r.Context()) {
			s.fail(rec, http.StatusInternalServerError, "this request fails because ERROR_SHARE is set")
		} else {
			next(rec, r)
		}
		took := time.Since(started)
		s.metrics.countHTTP(strconv.Itoa(rec.code), method(r.Method), handler, took)
		s.Log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "code", rec.code, "took", took)
	})
}

// method bounds the values of the label: a client may send any word.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	}
	return "other"
}

// broken answers for a failure that is ours. The details go to the log, not to the sender.
func (s *Service) broken(w http.ResponseWriter, r *http.Request, what string, err error) {
	if r.Context().Err() != nil {
		// The sender has disconnected: the answer is not read, and does not count for this service.
		s.fail(w, 499, "the request was canceled")
		return
	}
	s.Log.ErrorContext(r.Context(), what, "error", err.Error())
	s.fail(w, http.StatusInternalServerError, what+"; the service's log says why")
}

func (s *Service) fail(w http.ResponseWriter, code int, reason string) {
	s.reply(w, code, map[string]string{"error": reason})
}

func (s *Service) reply(w http.ResponseWriter, code int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		s.Log.Error("encoding an answer", "error", err.Error())
		code, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Server", s.Info.Service+"/"+s.Info.Version) // identifies the version that answered, also in errors
	w.WriteHeader(code)
	if _, err := w.Write(append(text, '\n')); err != nil {
		s.Log.Debug("sending an answer", "error", err.Error())
	}
}

type statusRecorder struct {
	http.ResponseWriter
	code int
}

func (r *statusRecorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController, and with it http.MaxBytesReader, reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

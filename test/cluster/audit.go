// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// AuditEvent is one request that the API server has answered, or, for a watch, begun to answer. Requests of the
// cluster's own components and health checks are not recorded.
type AuditEvent struct {
	Time        time.Time // when the request came, by the API server's clock
	User        string
	UserAgent   string
	Verb        string // get, list, watch, create, update, patch, delete, deletecollection; or the HTTP method in lower case
	URI         string
	APIGroup    string // empty for the core group and for requests that are not about resources
	APIVersion  string
	Resource    string
	Subresource string
	Namespace   string
	Name        string
	Code        int // HTTP status
}

// auditLog is where the API server writes, on the host and in the node alike.
func (c *Cluster) auditLog() string { return c.path("audit", "audit.log") }

// AuditEvents returns the requests that came at or after since, in the order in which they came. A request is there once
// its client has the whole answer, or a moment later. The API server keeps the last 600 MB of its log.
func (c *Cluster) AuditEvents(since time.Time) ([]AuditEvent, error) {
	files, err := filepath.Glob(c.path("audit", "audit*.log"))
	if err != nil {
		return nil, err
	}
	// A watch is recorded when it begins and when it ends; the last record of a request counts.
	events := map[string]AuditEvent{}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().Before(since) {
			continue
		}
		if err := readAuditFile(file, since, events); err != nil {
			return nil, fmt.Errorf("reading the audit log of cluster %s: %s: %w", c.Name(), file, err)
		}
	}
	sorted := make([]AuditEvent, 0, len(events))
	for _, e := range events {
		sorted = append(sorted, e)
	}
	slices.SortStableFunc(sorted, func(a, b AuditEvent) int { return a.Time.Compare(b.Time) })
	return sorted, nil
}

// auditRecord is the part of an audit.k8s.io/v1 Event that AuditEvent needs.
type auditRecord struct {
	AuditID                  string
	Verb                     string
	User                     struct{ Username string }
	UserAgent                string
	RequestURI               string
	RequestReceivedTimestamp time.Time
	ObjectRef                struct{ Resource, Subresource, Namespace, Name, APIGroup, APIVersion string }
	ResponseStatus           struct{ Code int }
}

func readAuditFile(path string, since time.Time, events map[string]AuditEvent) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for reader := bufio.NewReaderSize(f, 1<<20); ; {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // what follows the last newline is being written
		}
		if err != nil {
			return err
		}
		var r auditRecord
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("a line that is not an audit event: %w", err)
		}
		if r.RequestReceivedTimestamp.Before(since) {
			continue
		}
		events[r.AuditID] = AuditEvent{
			Time: r.RequestReceivedTimestamp, User: r.User.Username, UserAgent: r.UserAgent, Verb: r.Verb, URI: r.RequestURI,
			APIGroup: r.ObjectRef.APIGroup, APIVersion: r.ObjectRef.APIVersion,
			Resource: r.ObjectRef.Resource, Subresource: r.ObjectRef.Subresource,
			Namespace: r.ObjectRef.Namespace, Name: r.ObjectRef.Name, Code: r.ResponseStatus.Code,
		}
	}
}

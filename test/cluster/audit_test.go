// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestAuditEvents_CountsARequestOnceAndOnlyFromSince(t *testing.T) {
	c := &Cluster{dir: t.TempDir(), instance: instance{Name: "x"}}
	if err := os.Mkdir(c.path("audit"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(file string, lines ...string) {
		t.Helper()
		if err := os.WriteFile(c.path("audit", file), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := func(id, stage, verb, at string) string {
		return `{"auditID":"` + id + `","stage":"` + stage + `","verb":"` + verb + `","requestURI":"/api/v1/namespaces/n/pods/p/log",` +
			`"user":{"username":"u"},"userAgent":"agent","objectRef":{"resource":"pods","subresource":"log","namespace":"n","name":"p",` +
			`"apiVersion":"v1"},` +
			`"responseStatus":{"code":200},"requestReceivedTimestamp":"` + at + `"}`
	}
	write("audit-2026-01-02T03-04-05.000.log", line("1", "ResponseComplete", "get", "2026-01-02T03:00:00.000000Z"),
		line("2", "ResponseComplete", "get", "2026-01-02T03:00:02.000000Z"), "")
	write("audit.log", line("4", "ResponseComplete", "list", "2026-01-02T03:00:04.000000Z"),
		line("3", "ResponseStarted", "watch", "2026-01-02T03:00:03.000000Z"),
		line("3", "ResponseComplete", "watch", "2026-01-02T03:00:03.000000Z"), `{"auditID":"5","half wri`)

	events, err := c.AuditEvents(time.Date(2026, 1, 2, 3, 0, 1, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, e := range events {
		verbs = append(verbs, e.Verb)
	}
	if got := strings.Join(verbs, " "); got != "get watch list" {
		t.Fatalf("requests %q; want get, watch and list, in the order of their time", got)
	}
	e := events[0]
	e.Time = time.Time{}
	want := AuditEvent{
		User:        "u",
		UserAgent:   "agent",
		Verb:        "get",
		URI:         "/api/v1/namespaces/n/pods/p/log",
		APIVersion:  "v1",
		Resource:    "pods",
		Subresource: "log",
		Namespace:   "n",
		Name:        "p",
		Code:        200,
	}
	if e != want {
		t.Errorf("event %+v; want %+v", e, want)
	}

	write("audit.log", "not JSON", "")
	if _, err := c.AuditEvents(time.Time{}); err == nil || !strings.Contains(err.Error(), "audit.log") {
		t.Errorf("a broken log: %v; want an error that names the file", err)
	}
}

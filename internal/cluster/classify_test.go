// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

func status(code int, reason metav1.StatusReason, message string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q,`+
		`"details":{"name":"data-collection-client-a","kind":"namespaces"}}`, code, reason, message)
}

// What a server answers to GET of a namespace, as client-go reports it, and what it is taken for.
func TestClassify_Answers(t *testing.T) {
	t.Parallel()
	forbidden := `namespaces "data-collection-client-a" is forbidden: User "ci" cannot get resource "namespaces" in API group "" ` +
		`in the namespace "data-collection-client-a"`
	tests := map[string]struct {
		code     int
		json     bool
		body     string
		want     func(error) bool
		notFound bool
	}{
		"expired token": {401, true, status(401, metav1.StatusReasonUnauthorized, "Unauthorized"), isA[*UnauthorizedError], false},
		"missing right": {403, true, status(403, metav1.StatusReasonForbidden, forbidden), isA[*ForbiddenError], false},
		"exceeded quota": {
			403, true, status(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: exceeded quota: q`),
			apierrors.IsForbidden, false,
		},
		"no such namespace":  {404, true, status(404, metav1.StatusReasonNotFound, "not found"), apierrors.IsNotFound, true},
		"a proxy's 404 page": {404, false, "<html>404 page not found</html>", isA[*UnreachableError], false},
		"a bare 404":         {404, false, "", isA[*UnreachableError], false},
		"overloaded":         {429, true, status(429, metav1.StatusReasonTooManyRequests, "slow down"), isA[*UnreachableError], false},
		"unavailable":        {503, true, status(503, metav1.StatusReasonServiceUnavailable, "starting"), isA[*UnreachableError], false},
		"a proxy's 502 page": {502, false, "bad gateway", isA[*UnreachableError], false},
		"conflict":           {409, true, status(409, metav1.StatusReasonConflict, "modified"), apierrors.IsConflict, false},
		"invalid":            {422, true, status(422, metav1.StatusReasonInvalid, "invalid"), apierrors.IsInvalid, false},
		"failed calling a web": {
			500, true, status(500, metav1.StatusReasonInternalError, "failed calling webhook"), apierrors.IsInternalError, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.json {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			err := getNamespace(t, Connection{Host: server.URL, Insecure: true})

			got := Classify(err)

			if !test.want(got) {
				t.Errorf("%v became %T: %v", err, got, got)
			}
			if IsNotFound(err) != test.notFound {
				t.Errorf("IsNotFound(%v) = %v", err, !test.notFound)
			}
			if again := Classify(got); again != got { // the very same value is meant
				t.Errorf("classifying twice changed %v to %v", got, again)
			}
		})
	}
}

func getNamespace(t *testing.T, connection Connection) error {
	t.Helper()
	c, err := NewConnections(Config{Clusters: map[string]Connection{"x": connection}}).Cluster(t.Context(), Coordinate{Context: "x"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := c.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	// Without a deadline, what may pass is tried for a minute.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = client.Resource(namespaceResource).Get(ctx, "data-collection-client-a", metav1.GetOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	return fmt.Errorf("reading: %w", err)
}

func TestClassify_MissingPermissionNamesUserAndResource(t *testing.T) {
	err := Classify(apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "x",
		errors.New(`User "system:serviceaccount:ci:planner" cannot patch resource "deployments" in API group "apps" in the namespace "shop"`)))
	var forbidden *ForbiddenError
	if !errors.As(err, &forbidden) {
		t.Fatalf("got %T: %v", err, err)
	}
	if forbidden.User != "system:serviceaccount:ci:planner" || forbidden.Verb != "patch" || forbidden.Resource != "deployments.apps" ||
		forbidden.Namespace != "shop" {
		t.Errorf("got %+v", forbidden)
	}
}

func TestClassify_ConnectionsThatFail(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	foreign := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(foreign.Close)

	tests := map[string]struct {
		connection Connection
		want       func(error) bool
		says       string
	}{
		"closed port":         {Connection{Host: "https://" + closed}, isA[*UnreachableError], "connection refused"},
		"no such name":        {Connection{Host: "https://api.client-a.invalid"}, isA[*UnreachableError], "api.client-a.invalid"},
		"no TLS":              {Connection{Host: strings.Replace(plain.URL, "http:", "https:", 1)}, isA[*UnreachableError], "HTTPS"},
		"untrusted authority": {Connection{Host: foreign.URL}, isA[*UnreachableError], "certificate"},
		"plugin fails":        {Connection{Host: "https://" + closed, Exec: &Exec{Command: "false"}}, isA[*UnauthorizedError], "exit code 1"},
		"plugin missing": {
			Connection{Host: "https://" + closed, Exec: &Exec{Command: "no-such-plugin"}}, isA[*UnauthorizedError],
			"was not found",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := getNamespace(t, test.connection)
			got := Classify(err)
			if !test.want(got) {
				t.Errorf("%v became %T: %v", err, got, got)
			}
			if !strings.Contains(got.Error(), test.says) {
				t.Errorf("%v does not say %q", got, test.says)
			}
			if !IsTransient(err) {
				t.Error("not transient")
			}
		})
	}
}

func TestClassify_LeavesTheEndOfAContextAlone(t *testing.T) {
	for _, err := range []error{context.Canceled, fmt.Errorf("wait: %w", context.DeadlineExceeded), nil, errors.New("something else")} {
		if got := Classify(err); got != err { // the very same value is meant
			t.Errorf("%v became %T", err, got)
		}
	}
}

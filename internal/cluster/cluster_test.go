// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// testCluster connects to the test cluster.
func testCluster(t *testing.T) *Cluster {
	t.Helper()
	connections := NewConnections(Config{ConfigPaths: []string{harness.Kubeconfig(t)}, UserAgent: "slipway-test"})
	c, err := connections.Cluster(t.Context(), Coordinate{Context: harness.Context(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeKubeconfig(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func kubeconfigFor(context, server string) string {
	return `apiVersion: v1
kind: Config
current-context: ` + context + `
clusters: [{name: c, cluster: {server: "` + server + `"}}]
users: [{name: u, user: {token: t0ken}}]
contexts: [{name: ` + context + `, context: {cluster: c, user: u}}]
`
}

func TestConnections_RefusesCoordinatesThatNameNoCluster(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1") // a runner inside a cluster must not act on that cluster
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	path := writeKubeconfig(t, "config", kubeconfigFor("one", "https://127.0.0.1:1"))
	connections := NewConnections(Config{ConfigPaths: []string{path}, Clusters: map[string]Connection{
		"later": {Unknown: true},
		"empty": {},
	}})

	tests := map[string]struct {
		coordinate Coordinate
		want       func(error) bool
	}{
		"nothing":            {Coordinate{}, isA[*NoCoordinateError]},
		"both":               {Coordinate{Context: "one", EKS: &EKS{Name: "x"}}, isA[*NoCoordinateError]},
		"eks":                {Coordinate{EKS: &EKS{Name: "x"}}, isA[*UnsupportedError]},
		"unknown context":    {Coordinate{Context: "two"}, isA[*UnknownContextError]},
		"unknown connection": {Coordinate{Context: "later"}, isA[*UnknownConnectionError]},
		"empty connection":   {Coordinate{Context: "empty"}, isA[*KubeconfigError]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := connections.Cluster(t.Context(), test.coordinate)
			if !test.want(err) {
				t.Errorf("got %T: %v", err, err)
			}
		})
	}
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestConnections_UnknownContextNamesFilesAndContexts(t *testing.T) {
	path := writeKubeconfig(t, "config", kubeconfigFor("arn:aws:eks:eu-west-1:111111111111:cluster/client-a-prod", "https://127.0.0.1:1"))
	missing := filepath.Join(t.TempDir(), "none")
	connections := NewConnections(Config{
		ConfigPaths: []string{path, missing}, Clusters: map[string]Connection{"direct": {Host: "https://127.0.0.1:1"}},
	})

	_, err := connections.Cluster(t.Context(), Coordinate{Context: "client-a-prod"})

	for _, want := range []string{path, missing, "cluster/client-a-prod", "direct", "config_paths"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}

func TestConnections_FirstFileWinsAndProviderConnectionsWinOverFiles(t *testing.T) {
	first := writeKubeconfig(t, "first", kubeconfigFor("one", "https://first.invalid"))
	second := writeKubeconfig(t, "second", strings.ReplaceAll(kubeconfigFor("one", "https://second.invalid"), "name: one", "name: two"))
	connections := NewConnections(Config{
		ConfigPaths: []string{first, second},
		Clusters: map[string]Connection{
			"direct": {Host: "https://direct.invalid", Token: "t"}, "alias": {ConfigPath: second, ConfigContext: "two"},
		},
	})

	// The second file's context refers to cluster "c", which the first file has as well.
	for context, want := range map[string]string{
		"one": "https://first.invalid", "two": "https://first.invalid",
		"direct": "https://direct.invalid", "alias": "https://second.invalid",
	} {
		c, err := connections.Cluster(t.Context(), Coordinate{Context: context})
		if err != nil {
			t.Fatal(err)
		}
		if c.Host() != want {
			t.Errorf("context %s leads to %s, want %s", context, c.Host(), want)
		}
	}
}

func TestConnections_SendNothingAndShareOneTransport(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1) }))
	defer server.Close()
	connections := NewConnections(Config{Clusters: map[string]Connection{"x": {Host: server.URL, Insecure: true}}})

	first, err := connections.Cluster(t.Context(), Coordinate{Context: "x"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := connections.Cluster(t.Context(), Coordinate{Context: "x"})
	if err != nil {
		t.Fatal(err)
	}

	if first != second {
		t.Error("the same coordinate gave two clusters")
	}
	if first.RESTConfig().Transport != second.RESTConfig().Transport {
		t.Error("two transports for one cluster")
	}
	if requests.Load() != 0 {
		t.Errorf("connecting sent %d requests", requests.Load())
	}
}

func TestRESTConfig_ContainsNoCredentials(t *testing.T) {
	connections := NewConnections(Config{Clusters: map[string]Connection{"x": {Host: "https://127.0.0.1:1", Token: "s3cret"}}})
	c, err := connections.Cluster(t.Context(), Coordinate{Context: "x"})
	if err != nil {
		t.Fatal(err)
	}
	config := c.RESTConfig()
	if config.BearerToken != "" || config.Password != "" || len(config.KeyData) != 0 || config.ExecProvider != nil {
		t.Error("the copy carries credentials")
	}
}

func TestCluster_AuthenticatesAndNamesItself(t *testing.T) {
	var seen http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"kube-system","uid":"u-1"}}`))
	}))
	defer server.Close()
	plugin := filepath.Join(t.TempDir(), "credentials")
	script := "#!/bin/sh\nif [ -t 0 ] || read line; then exit 3; fi\n" +
		`echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-'$CLIENT'"}}'`
	if err := os.WriteFile(plugin, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		connection Connection
		want       string
	}{
		"token": {Connection{Host: server.URL, Insecure: true, Token: "abc"}, "Bearer abc"},
		"exec": {Connection{Host: server.URL, Insecure: true, Exec: &Exec{Command: plugin, Env: map[string]string{"CLIENT": "client-a"}}},
			"Bearer from-client-a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			connections := NewConnections(Config{
				Clusters: map[string]Connection{"x": test.connection}, UserAgent: "terraform-provider-slipway/1.2.3",
			})
			c, err := connections.Cluster(t.Context(), Coordinate{Context: "x"})
			if err != nil {
				t.Fatal(err)
			}
			uid, err := c.UID(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if uid != "u-1" {
				t.Errorf("UID %q", uid)
			}
			if got := seen.Get("Authorization"); got != test.want {
				t.Errorf("Authorization %q, want %q", got, test.want)
			}
			if got := seen.Get("User-Agent"); got != "terraform-provider-slipway/1.2.3" {
				t.Errorf("User-Agent %q", got)
			}
		})
	}
}

func TestCluster_UIDIsReadOnce(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		time.Sleep(50 * time.Millisecond)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"kube-system","uid":"u-1"}}`))
	}))
	defer server.Close()
	connections := NewConnections(Config{Clusters: map[string]Connection{"x": {Host: server.URL, Insecure: true}}})
	c, err := connections.Cluster(t.Context(), Coordinate{Context: "x"})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- c.RequireUID(t.Context(), "u-1") }()
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := c.RequireUID(t.Context(), "u-2"); !isA[*MismatchError](err) {
		t.Errorf("another UID gave %v", err)
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}

func TestCluster_CapabilitiesOfARealCluster(t *testing.T) {
	c := testCluster(t)
	capabilities, err := c.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"v1", "apps/v1", "apps/v1/Deployment", "v1/Pod", "coordination.k8s.io/v1/Lease"} {
		if !slices.Contains(capabilities.APIVersions, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if !slices.IsSorted(capabilities.APIVersions) {
		t.Error("not sorted")
	}
	if capabilities.Version.Major != "1" {
		t.Errorf("version %+v", capabilities.Version)
	}
	mapper, err := c.RESTMapper()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mapper.KindFor(namespaceResource); err != nil {
		t.Error(err)
	}
	c.Invalidate()
	if _, err := c.Capabilities(t.Context()); err != nil {
		t.Errorf("after Invalidate: %v", err)
	}
}

func TestCluster_ClientsReadARealCluster(t *testing.T) {
	c := testCluster(t)
	typed, err := c.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	dynamic, err := c.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := c.UID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fromTyped, err := typed.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fromDynamic, err := dynamic.Resource(namespaceResource).Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if string(fromTyped.UID) != uid || string(fromDynamic.GetUID()) != uid {
		t.Errorf("UID %q, typed client %q, dynamic client %q", uid, fromTyped.UID, fromDynamic.GetUID())
	}
}

func TestCluster_WaitingForAnAnswerEndsWithTheContext(t *testing.T) {
	block := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-block }))
	defer server.Close()
	defer close(block)
	connections := NewConnections(Config{Clusters: map[string]Connection{"x": {Host: server.URL, Insecure: true}}})
	c, err := connections.Cluster(t.Context(), Coordinate{Context: "x"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.UID(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestCluster_SilentClusterIsNotContactedAgainAtOnce(t *testing.T) {
	// A certificate that nobody trusts: no TLS session, and no retry of client-go's.
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		asked.Add(1)
		return nil, nil //nolint:nilnil // Documented: the server's own configuration.
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	connections := NewConnections(Config{Clusters: map[string]Connection{"silent": {Host: server.URL, Token: "any"}}})
	c, err := connections.Cluster(t.Context(), Coordinate{Context: "silent"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() int32 {
		t.Helper()
		if _, err := c.UID(t.Context()); !IsTransient(err) {
			t.Fatalf("a cluster without a trusted certificate: %v, want an error that says it cannot be reached", err)
		}
		return asked.Load()
	}
	first := ask()
	if again := ask(); again != first {
		t.Errorf("the silent cluster was asked again at once: %d connections, then %d", first, again)
	}
	c.mu.Lock()
	c.silentAt = c.silentAt.Add(-2 * silence)
	c.mu.Unlock()
	if later := ask(); later == first {
		t.Error("the silent cluster was not asked again later")
	}
}

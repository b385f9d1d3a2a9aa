// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	containers "github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v3/pkg/registry"
)

// ociRegistry is a real registry on the loopback interface.
type ociRegistry struct {
	host     string
	requests atomic.Int64
	password string // where set, user "robot" must give it
}

func newRegistry(t *testing.T) *ociRegistry {
	t.Helper()
	// Credentials of the machine that runs the tests stay out of them.
	home := t.TempDir()
	t.Setenv("DOCKER_CONFIG", home)
	t.Setenv("HELM_REGISTRY_CONFIG", filepath.Join(home, "none.json"))
	r := &ociRegistry{}
	handler := containers.New(containers.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.requests.Add(1)
		user, password, _ := request.BasicAuth()
		if r.password != "" && (user != "robot" || password != r.password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *ociRegistry) push(t *testing.T, archive []byte, tag string) {
	t.Helper()
	client, err := registry.NewClient(registry.ClientOptPlainHTTP(), registry.ClientOptWriter(io.Discard),
		registry.ClientOptBasicAuth("robot", r.password))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Push(archive, r.host+"/charts/web:"+tag, registry.PushOptStrictMode(false)); err != nil {
		t.Fatal(err)
	}
}

func (r *ociRegistry) source(version string) Source {
	return Source{Repository: "oci://" + r.host + "/charts", Name: "web", Version: version}
}

func TestOCI_PullsAndKeepsByDigest(t *testing.T) {
	r := newRegistry(t)
	archive := pack(t, webChart(nil))
	r.push(t, archive, "1.2.0")
	cache := t.TempDir()
	c := mustGet(t, NewLoader(cache, nil), r.source("1.2.0"), "")
	if c.Digest != archiveDigest(archive) || c.Name != "web" {
		t.Errorf("got %+v", c)
	}
	before := r.requests.Load()
	mustGet(t, NewLoader(cache, nil), r.source("1.2.0"), c.Digest)
	if n := r.requests.Load() - before; n != 0 {
		t.Errorf("%d requests for a chart in the cache", n)
	}
}

func TestOCI_FindsAVersionWithBuildData(t *testing.T) {
	r := newRegistry(t)
	r.push(t, pack(t, version("1.2.0+build.5")), "1.2.0_build.5")
	if c := mustGet(t, newTestLoader(t), r.source("1.2.0+build.5"), ""); c.Version != "1.2.0+build.5" {
		t.Errorf("got %s", c.Version)
	}
}

func TestOCI_ListsAvailableVersions(t *testing.T) {
	r := newRegistry(t)
	for _, v := range []string{"1.0.0", "1.1.0"} {
		r.push(t, pack(t, version(v)), v)
	}
	_, err := newTestLoader(t).Get(t.Context(), r.source("1.2.0"), "")
	var missing *NotFoundError
	want := "oci://" + r.host + "/charts has no version 1.2.0 of chart web; there are 1.1.0, 1.0.0"
	if !errors.As(err, &missing) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	other := r.source("1.0.0")
	other.Name = "api"
	_, err = newTestLoader(t).Get(t.Context(), other, "")
	want = "oci://" + r.host + "/charts has no version 1.0.0 of chart api, or does not have the chart"
	if !errors.As(err, &missing) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestOCI_RefusesATagThatWasMoved(t *testing.T) {
	r := newRegistry(t)
	first, second := pack(t, webChart(nil)), pack(t, webChart(map[string]string{"values.yaml": "replicas: 9\n"}))
	r.push(t, first, "1.2.0")
	digest := mustGet(t, newTestLoader(t), r.source("1.2.0"), "").Digest
	r.push(t, second, "1.2.0")
	_, err := newTestLoader(t).Get(t.Context(), r.source("1.2.0"), digest)
	var moved *DigestError
	if !errors.As(err, &moved) || moved.Got != archiveDigest(second) || moved.Want != archiveDigest(first) {
		t.Errorf("got %v", err)
	}
}

func TestOCI_UsesCredentials(t *testing.T) {
	r := newRegistry(t)
	r.password = "hunter2-canary"
	r.push(t, pack(t, webChart(nil)), "1.2.0")
	entry := Registry{URL: "oci://" + r.host + "/charts", Username: "robot", Password: r.password}

	t.Run("of the provider", func(t *testing.T) {
		mustGet(t, newTestLoader(t, entry), r.source("1.2.0"), "")
	})
	t.Run("of docker", func(t *testing.T) {
		config := `{"auths":{"` + r.host + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("robot:"+r.password)) + `"}}}`
		if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		mustGet(t, newTestLoader(t), r.source("1.2.0"), "")
		if err := os.Remove(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")); err != nil {
			t.Fatal(err)
		}
	})
	for name, test := range map[string]struct {
		registries []Registry
		want       string
	}{
		"none":  {nil, "wants a credential, and none is configured for it"},
		"wrong": {[]Registry{{URL: entry.URL, Username: "robot", Password: "wrong-canary"}}, "refuses the configured credential"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newTestLoader(t, test.registries...).Get(t.Context(), r.source("1.2.0"), "")
			var unauthorized *UnauthorizedError
			if !errors.As(err, &unauthorized) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want …%s", err, test.want)
			}
		})
	}
}

func TestOCI_UsesPlainHTTPForLoopbackOnly(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost:5000": true, "127.0.0.1": true, "127.1.2.3:80": true, "[::1]:5000": true,
		"registry.example.com": false, "10.0.0.1:5000": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}

func TestOCI_LimitsWhatARegistrySends(t *testing.T) {
	r := newRegistry(t)
	r.push(t, pack(t, webChart(nil)), "1.2.0")
	l := newTestLoader(t)
	l.registries.limit = 100
	_, err := l.Get(t.Context(), r.source("1.2.0"), "")
	var large *InvalidError
	if !errors.As(err, &large) || !strings.Contains(err.Error(), "has more than 100 bytes") {
		t.Errorf("got %v", err)
	}
}

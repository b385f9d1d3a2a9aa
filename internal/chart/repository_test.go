// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/repo"
)

// repository is a chart repository on the loopback interface: a folder with an index, as `helm repo index` makes it.
type repository struct {
	dir      string
	url      string
	requests atomic.Int64
	// handle, where set, answers instead of the files when it returns true.
	handle func(http.ResponseWriter, *http.Request) bool
}

func newRepository(t *testing.T, archives map[string][]byte) *repository {
	t.Helper()
	r := &repository{dir: t.TempDir()}
	files := http.FileServer(http.Dir(r.dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.requests.Add(1)
		if r.handle == nil || !r.handle(w, request) {
			files.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	r.put(t, archives)
	return r
}

// put adds archives and rebuilds the index, with relative addresses.
func (r *repository) put(t *testing.T, archives map[string][]byte) {
	t.Helper()
	for name, archive := range archives {
		if err := os.WriteFile(filepath.Join(r.dir, name), archive, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index, err := repo.IndexDirectory(r.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	index.SortEntries()
	if err := index.WriteFile(filepath.Join(r.dir, "index.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func version(v string) map[string]string {
	return webChart(map[string]string{"Chart.yaml": strings.Replace(chartYAML, "1.2.0", v, 1)})
}

func TestRepository_FetchesOnceAndThenTakesTheCache(t *testing.T) {
	archive := pack(t, webChart(nil))
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": archive})
	source := Source{Repository: r.url + "/", Name: "web", Version: "1.2.0"}
	cache := t.TempDir()
	l := NewLoader(cache, nil)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			c, err := l.Get(context.Background(), source, "")
			if err != nil || c.Digest != archiveDigest(archive) || c.Version != "1.2.0" {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	group.Wait()
	if n := r.requests.Load(); n != 2 {
		t.Errorf("%d requests for one chart; index and archive are 2", n)
	}
	mustGet(t, NewLoader(cache, nil), source, archiveDigest(archive))
	if n := r.requests.Load(); n != 2 {
		t.Errorf("%d requests after the chart was in the cache", n)
	}
}

func TestRepository_DoesNotTrustItsCache(t *testing.T) {
	archive := pack(t, webChart(nil))
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": archive})
	source := Source{Repository: r.url, Name: "web", Version: "1.2.0"}
	cache := t.TempDir()
	mustGet(t, NewLoader(cache, nil), source, "")
	files, err := filepath.Glob(filepath.Join(cache, "sha256", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache holds %q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustGet(t, NewLoader(cache, nil), source, archiveDigest(archive))
	if got, err := os.ReadFile(files[0]); err != nil || archiveDigest(got) != archiveDigest(archive) {
		t.Errorf("the damaged file was not replaced: %v", err)
	}
}

func TestRepository_WorksWithoutACache(t *testing.T) {
	archive := pack(t, webChart(nil))
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": archive})
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l := NewLoader(filepath.Join(blocked, "cache"), nil)
	source := Source{Repository: r.url, Name: "web", Version: "1.2.0"}
	mustGet(t, l, source, "")
	mustGet(t, l, source, archiveDigest(archive))
	if n := r.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestRepository_ListsWhatIsAvailable(t *testing.T) {
	archives := map[string][]byte{}
	for _, v := range []string{"1.0.0", "1.1.0", "1.10.0", "2.0.0-rc.1"} {
		archives["web-"+v+".tgz"] = pack(t, version(v))
	}
	r := newRepository(t, archives)
	tests := map[string]struct {
		source Source
		want   string
	}{
		"another version": {
			Source{Repository: r.url, Name: "web", Version: "1.2.0"},
			r.url + " has no version 1.2.0 of chart web; there are 2.0.0-rc.1, 1.10.0, 1.1.0, 1.0.0",
		},
		"another name": {
			Source{Repository: r.url, Name: "wep", Version: "1.1.0"},
			r.url + ` has no chart "wep"; the nearest names there are web`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newTestLoader(t).Get(t.Context(), test.source, "")
			var missing *NotFoundError
			if !errors.As(err, &missing) || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestRepository_RefusesAnotherContent(t *testing.T) {
	first, second := pack(t, webChart(nil)), pack(t, webChart(map[string]string{"values.yaml": "replicas: 9\n"}))
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": first})
	source := Source{Repository: r.url, Name: "web", Version: "1.2.0"}
	r.put(t, map[string][]byte{"web-1.2.0.tgz": second})
	_, err := newTestLoader(t).Get(t.Context(), source, archiveDigest(first))
	var digest *DigestError
	if !errors.As(err, &digest) || digest.Want != archiveDigest(first) || digest.Got != archiveDigest(second) {
		t.Errorf("replaced under the same version: %v", err)
	}
	// The index still has the digest of the second.
	if err := os.WriteFile(filepath.Join(r.dir, "web-1.2.0.tgz"), first, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = newTestLoader(t).Get(t.Context(), source, "")
	if !errors.As(err, &digest) || !strings.Contains(err.Error(), "by its index.yaml") {
		t.Errorf("it differs from the index: %v", err)
	}
}

func TestRepository_RefusesWhatIsFiledUnderAnotherName(t *testing.T) {
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": pack(t, webChart(nil))})
	index := "apiVersion: v1\nentries:\n  api:\n  - {apiVersion: v2, name: api, version: 1.2.0, urls: [web-1.2.0.tgz]}\n"
	if err := os.WriteFile(filepath.Join(r.dir, "index.yaml"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := newTestLoader(t).Get(t.Context(), Source{Repository: r.url, Name: "api", Version: "1.2.0"}, "")
	var broken *InvalidError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "the archive of api 1.2.0 contains web 1.2.0") {
		t.Errorf("got %v", err)
	}
}

func TestRepository_UsesTheCredentialOfTheLongestPrefix(t *testing.T) {
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": pack(t, webChart(nil))})
	r.handle = func(w http.ResponseWriter, request *http.Request) bool {
		user, password, ok := request.BasicAuth()
		if ok && user == "robot" && password == "hunter2" {
			http.StripPrefix("/charts", http.FileServer(http.Dir(r.dir))).ServeHTTP(w, request)
			return true
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	source := Source{Repository: r.url + "/charts", Name: "web", Version: "1.2.0"}
	good := []Registry{
		{URL: r.url, Username: "other", Password: "x"}, {URL: r.url + "/charts/", Username: "robot", Password: "hunter2"},
		{URL: r.url + "/char", Username: "no", Password: "no"},
	}
	mustGet(t, newTestLoader(t, good...), source, "")
	for want, registries := range map[string][]Registry{
		"refuses the configured credential": {{URL: r.url, Username: "robot", Password: "canary-password"}},
		"none is configured for it":         {{URL: r.url + "/char", Username: "robot", Password: "hunter2"}},
	} {
		_, err := newTestLoader(t, registries...).Get(t.Context(), source, "")
		var unauthorized *UnauthorizedError
		if !errors.As(err, &unauthorized) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}

func TestRepository_DoesNotSendCredentialsElsewhere(t *testing.T) {
	var seen atomic.Value
	archive := pack(t, webChart(nil))
	elsewhere := newRepository(t, map[string][]byte{"web-1.2.0.tgz": archive})
	elsewhere.handle = func(_ http.ResponseWriter, request *http.Request) bool {
		seen.Store(request.Header.Get("Authorization"))
		return false
	}
	r := newRepository(t, nil)
	index := "apiVersion: v1\nentries:\n  web:\n  - {apiVersion: v2, name: web, version: 1.2.0, urls: ['" +
		elsewhere.url + "/web-1.2.0.tgz']}\n"
	if err := os.WriteFile(filepath.Join(r.dir, "index.yaml"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	mustGet(t, newTestLoader(t, Registry{URL: r.url, Username: "robot", Password: "hunter2"}),
		Source{Repository: r.url, Name: "web", Version: "1.2.0"}, "")
	if got := seen.Load(); got != "" {
		t.Errorf("the other host got %v", got)
	}
}

func TestRepository_TriesAgainWhatMayPass(t *testing.T) {
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": pack(t, webChart(nil))})
	var failures atomic.Int64
	r.handle = func(w http.ResponseWriter, _ *http.Request) bool {
		if failures.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	source := Source{Repository: r.url, Name: "web", Version: "1.2.0"}
	mustGet(t, newTestLoader(t), source, "")

	r.handle = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	before := r.requests.Load()
	_, err := newTestLoader(t).Get(t.Context(), source, "")
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "it answers HTTP 502 (Bad Gateway)") {
		t.Errorf("got %v", err)
	}
	if n := r.requests.Load() - before; n != attempts {
		t.Errorf("%d requests", n)
	}
}

func TestRepository_ReportsWhatItIsInstead(t *testing.T) {
	r := newRepository(t, nil)
	source := Source{Repository: r.url, Name: "web", Version: "1.2.0"}
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"no index":       {http.StatusNotFound, "", "it has no index.yaml (HTTP 404)"},
		"a page":         {http.StatusOK, "<html><body>Log in</body></html>", "what it returns as index.yaml is none"},
		"an empty index": {http.StatusOK, "", "what it returns as index.yaml is none"},
	} {
		t.Run(name, func(t *testing.T) {
			r.handle = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(test.status)
				_, err := w.Write([]byte(test.body))
				return err == nil
			}
			_, err := newTestLoader(t).Get(t.Context(), source, "")
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), os.TempDir()) {
				t.Errorf("got %v, want …%s", err, test.want)
			}
		})
	}
}

// closedPort is an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestLoader_ReportsThatNothingAnswers(t *testing.T) {
	address := closedPort(t)
	for _, scheme := range []string{"http://", "oci://"} {
		_, err := newTestLoader(t).Get(t.Context(), Source{Repository: scheme + address + "/charts", Name: "web", Version: "1.2.0"}, "")
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: got %v", scheme, err)
		}
	}
}

func TestLoader_EndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		select {
		case <-release:
		case <-request.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release); server.Close() })
	for _, scheme := range []string{"http://", "oci://"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_, err := newTestLoader(t).Get(ctx, Source{Repository: scheme + strings.TrimPrefix(server.URL, "http://"), Name: "web", Version: "1.2.0"},
			"")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", scheme, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it took %s", scheme, took)
		}
	}
}

func TestLoader_AnotherCallersContextEndsNothing(t *testing.T) {
	archive := pack(t, webChart(nil))
	r := newRepository(t, map[string][]byte{"web-1.2.0.tgz": archive})
	entered, release := make(chan struct{}, 10), make(chan struct{})
	r.handle = func(_ http.ResponseWriter, request *http.Request) bool {
		entered <- struct{}{}
		select {
		case <-release:
		case <-request.Context().Done():
		}
		return false
	}
	l := newTestLoader(t)
	source := Source{Repository: r.url, Name: "web", Version: "1.2.0"}
	first, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := l.Get(first, source, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("the first caller got %v", err)
		}
	})
	<-entered
	group.Go(func() {
		if c, err := l.Get(context.Background(), source, ""); err != nil || c.Digest != archiveDigest(archive) {
			t.Errorf("the second caller got %v, %v", c, err)
		}
	})
	time.Sleep(20 * time.Millisecond) // let the second caller join the first one's flight
	cancel()
	<-entered
	close(release)
	group.Wait()
}

// Go keeps the credential in a redirect to the same host, also where that leaves TLS.
func TestRepository_FollowsNoRedirectFromHTTPSToHTTP(t *testing.T) {
	t.Parallel()
	plain := newRepository(t, map[string][]byte{"web-1.2.0.tgz": pack(t, webChart(nil))})
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		http.Redirect(w, request, plain.url+request.URL.Path, http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	l := newTestLoader(t, Registry{URL: secure.URL, Username: "robot", Password: "hunter2-canary"})
	l.repositories.client.Transport = secure.Client().Transport
	_, err := l.Get(t.Context(), Source{Repository: secure.URL, Name: "web", Version: "1.2.0"}, "")
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "it redirects from https to "+plain.url) {
		t.Errorf("got %v", err)
	}
	if n := plain.requests.Load(); n != 0 {
		t.Errorf("%d requests were sent without TLS", n)
	}
}

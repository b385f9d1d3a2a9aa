// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
)

// secret must not appear in any text of the samplers.
const secret = "c4n4ry-s3cret"

func requireNoSecret(t *testing.T, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("a credential: %s", text)
	}
}

func requireSample(t *testing.T, got Sample, kind Kind, evidence string) {
	t.Helper()
	if got.Kind != kind || !strings.Contains(got.Evidence, evidence) {
		t.Errorf("%s (%s), want %s (%s)", got.Kind, got.Evidence, kind, evidence)
	}
	requireNoSecret(t, got)
}

func TestHTTPProbe_DecidesByStatus(t *testing.T) {
	for status, want := range map[int]Kind{200: Pass, 204: Pass, 302: Pass, 399: Pass, 400: Fail, 404: Fail, 429: Fail, 500: Fail, 503: Fail} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if status == 302 {
				w.Header().Set("Location", "http://192.0.2.1/elsewhere")
			}
			w.WriteHeader(status)
		}))
		probe := &HTTPProbe{Name: health, URL: server.URL + "/readyz", Client: server.Client()}
		requireSample(t, probe.Sample(t.Context()), want, "/readyz: HTTP ")
		probe.Statuses = []int{status}
		requireSample(t, probe.Sample(t.Context()), Pass, "HTTP ")
		server.Close()
	}
}

func TestHTTPProbe_FailsWithoutAnAnswer(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	probe := &HTTPProbe{Name: health, URL: hanging.URL, Client: hanging.Client(), Timeout: 50 * time.Millisecond}
	requireSample(t, probe.Sample(t.Context()), Fail, "no answer within 50ms")

	// The end of the run is no failure of the version.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	probe.Timeout = time.Minute
	requireSample(t, probe.Sample(ctx), Error, "interrupted")

	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	}))
	defer cut.Close()
	requireSample(t, (&HTTPProbe{URL: cut.URL, Client: cut.Client()}).Sample(t.Context()), Fail, "cut off")

	closed := httptest.NewServer(http.NotFoundHandler())
	address := closed.URL
	closed.Close()
	requireSample(t, (&HTTPProbe{URL: address, Client: http.DefaultClient}).Sample(t.Context()), Fail, "connection refused")
}

func TestHTTPProbe_DistinguishesABadCertificateFromAMissingCA(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	requireSample(t, (&HTTPProbe{URL: server.URL, Client: server.Client()}).Sample(t.Context()), Pass, "HTTP 200")
	requireSample(t, (&HTTPProbe{URL: server.URL, Client: &http.Client{}}).Sample(t.Context()), Error, "give the CA")

	other := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: pool(t, server.Certificate()), ServerName: "another.example", MinVersion: tls.VersionTLS12,
	}}}
	requireSample(t, (&HTTPProbe{URL: server.URL, Client: other}).Sample(t.Context()), Fail, "another.example")

	certificate, authority := expired(t)
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	old.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, authority), MinVersion: tls.VersionTLS12}}}
	requireSample(t, (&HTTPProbe{URL: old.URL, Client: client}).Sample(t.Context()), Fail, "expired")
}

func pool(t *testing.T, certificate *x509.Certificate) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	p.AddCert(certificate)
	return p
}

func expired(t *testing.T) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, parsed
}

func TestHTTPProbe_ThroughTheAPIServer(t *testing.T) {
	status := func(code, message string) string {
		return `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"` + message + `","code":` + code + `}`
	}
	tests := map[string]struct {
		code int
		body string
		kind Kind
		text string
	}{
		"the service is well":      {200, "ok", Pass, "HTTP 200"},
		"the service is not":       {503, "not ready", Fail, "HTTP 503"},
		"no endpoints":             {503, status("503", "no endpoints available for service"), Fail, "no endpoints"},
		"no right":                 {403, status("403", "cannot get resource services/proxy"), Error, "services/proxy"},
		"no such service":          {404, status("404", "services \\\"x\\\" not found"), Error, "not found"},
		"the service refuses":      {403, "go away", Fail, "HTTP 403"},
		"the API server is busy":   {429, status("429", "too many requests"), Error, "429"},
		"expected, but not so":     {503, status("503", "no endpoints"), Fail, "the API server"},
		"a Status that is no fail": {200, status("200", "fine"), Pass, "HTTP 200"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/namespaces/shop/services/http:web:8080/proxy/readyz" || r.URL.Query().Get("deep") != "1" {
					t.Errorf("asked for %s", r.URL)
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			address, err := ProxyAddress(server.URL, Service{Namespace: "shop", Name: "web", Port: "8080", Path: "readyz?deep=1"})
			if err != nil {
				t.Fatal(err)
			}
			probe := &HTTPProbe{URL: address, Client: server.Client(), Proxied: true}
			if name == "expected, but not so" { // The service answers 503 when well; the API server's own 503 is not that.
				probe.Statuses = []int{503}
			}
			got := probe.Sample(t.Context())
			requireSample(t, got, test.kind, test.text)
			requireSample(t, got, test.kind, "GET http:web:8080/readyz: ")
		})
	}
}

func TestProxyAddress_RefusesWhatWouldLeadElsewhere(t *testing.T) {
	for _, s := range []Service{
		{Namespace: "", Name: "web", Port: "80"}, {Namespace: "shop", Name: "../../secrets", Port: "80"},
		{Namespace: "..", Name: "web", Port: "80"}, {Namespace: "shop", Name: "web:1", Port: "80"}, {Namespace: "shop", Name: "web", Port: "8?0"},
	} {
		var config *ConfigError
		if address, err := ProxyAddress("https://cluster.example", s); !errors.As(err, &config) {
			t.Errorf("%+v gives %s, %v", s, address, err)
		}
	}
	address, err := ProxyAddress("https://cluster.example/prefix", Service{Namespace: "shop", Name: "web", Port: "https", HTTPS: true})
	if want := "https://cluster.example/prefix/api/v1/namespaces/shop/services/https:web:https/proxy/"; err != nil || address != want {
		t.Errorf("%s, %v, want %s", address, err, want)
	}
}

func TestHTTPProbe_EvidenceContainsNoCredential(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != secret || r.URL.Query().Get("key") != secret {
			t.Errorf("sent %s with %v", r.URL, r.Header)
		}
		w.Header().Set("X-Echo", secret)
		w.WriteHeader(500)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","message":"you sent ` + secret + `"}`))
	}))
	host := strings.TrimPrefix(server.URL, "http://")
	probe := &HTTPProbe{URL: "http://user:" + secret + "@" + host + "/?key=" + secret, Client: server.Client(),
		Header: http.Header{"X-Token": {secret}}, Proxied: true}
	requireSample(t, probe.Sample(t.Context()), Error, "you sent (credential)")
	server.Close()
	requireSample(t, probe.Sample(t.Context()), Fail, "connection refused")
}

func TestHTTPProbe_Validate(t *testing.T) {
	for _, probe := range []HTTPProbe{
		{URL: "ftp://x", Client: http.DefaultClient}, {URL: "/readyz", Client: http.DefaultClient}, {URL: "http://x"},
		{URL: "http://x", Client: http.DefaultClient, Timeout: -1}, {URL: "http://x", Client: http.DefaultClient, Statuses: []int{20}},
	} {
		var config *ConfigError
		if err := probe.Validate(); !errors.As(err, &config) {
			t.Errorf("%+v: %v", probe, err)
		}
		requireSample(t, probe.Sample(t.Context()), Error, "")
	}
}

func TestRedactor(t *testing.T) {
	r := newRedactor("pass word", "longer pass word", "ab")
	for in, want := range map[string]string{
		"x pass word y":             "x (credential) y",
		"longer pass word":          "(credential)",
		"q=pass+word&r=pass%20word": "q=(credential)&r=(credential)",
		"cGFzcyB3b3Jk":              "(credential)",
		"tab":                       "(the text holds a credential and is left out)",
		"two\nlines\x00":            "two lines",
		strings.Repeat("é", 400):    strings.Repeat("é", 150) + "…",
	} {
		if got := r.text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

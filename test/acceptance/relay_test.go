// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// relay is between a provider and the API server. It keeps the requests, and can kill the provider at one of them: when the
// API server has carried it out and nobody knows yet.
type relay struct {
	t *testing.T
	// kubeconfig leads through the relay, with the context's own name.
	kubeconfig string
	next       http.RoundTripper
	handler    http.Handler
	// faults lets requests fail; nil where none does.
	faults *faults

	serving sync.Mutex
	address string
	server  *http.Server // nil while nothing listens

	mu   sync.Mutex
	seen []relayed
	// kill is called once left is down to zero, by one for each request that counts; nil where nobody is to be killed.
	kill   func()
	counts func(relayed) bool
	left   int
}

// relayed is a request that went through.
type relayed struct{ method, resource, name string }

// changes reports a request that writes.
func (r relayed) changes() bool { return r.method != http.MethodGet }

// writes reports a change of an object. Leases, and questions that are asked by a POST, are none.
func (r relayed) writes() bool {
	return r.changes() && r.resource != "leases" && !strings.HasPrefix(r.resource, "selfsubject")
}

// moves reports a change of a split: of its routes, its subsets, or its record, whose name is not in the path of the request that makes it.
func (r relayed) moves() bool {
	record := r.resource == "configmaps" && (r.method == http.MethodPost || strings.HasPrefix(r.name, "slipway-canary-"))
	return r.changes() && (record || slices.Contains([]string{"virtualservices", "destinationrules"}, r.resource))
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	config := harness.Config(t)
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if r.next, err = rest.TransportFor(config); err != nil {
		t.Fatal(err)
	}
	r.handler = &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: r, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), // who asked is gone
	}
	r.listen("127.0.0.1:0")
	t.Cleanup(r.hangUp)
	name := harness.Context(t)
	through := clientcmdapi.NewConfig()
	through.Clusters[name] = &clientcmdapi.Cluster{Server: "http://" + r.address}
	through.AuthInfos[name] = &clientcmdapi.AuthInfo{}
	through.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	through.CurrentContext = name
	if err := clientcmd.WriteToFile(*through, r.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return r
}

// listen begins to serve at an address.
func (r *relay) listen(address string) {
	r.serving.Lock()
	defer r.serving.Unlock()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		r.t.Errorf("the relay cannot listen: %v", err)
		return
	}
	r.address = listener.Addr().String()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	server := r.server
	go func() { _ = server.Serve(listener) }() // It ends with hangUp.
}

// hangUp closes all connections, and refuses new ones.
func (r *relay) hangUp() {
	r.serving.Lock()
	defer r.serving.Unlock()
	if r.server != nil {
		_ = r.server.Close() // The clients see what happens.
	}
	r.server = nil
}

// ServeHTTP implements http.Handler.
func (r *relay) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if r.faults == nil {
		r.handler.ServeHTTP(w, request)
		return
	}
	r.faults.serve(w, request, r.handler)
}

// RoundTrip passes a request on.
func (r *relay) RoundTrip(request *http.Request) (*http.Response, error) {
	passed, dryRun := parsedRequest(request.Method, request.URL)
	answer, err := r.next.RoundTrip(request)
	if err != nil || dryRun {
		return answer, err
	}
	r.mu.Lock()
	r.seen = append(r.seen, passed)
	var kill func()
	if r.kill != nil && r.counts(passed) {
		if r.left--; r.left == 0 {
			kill, r.kill = r.kill, nil
		}
	}
	r.mu.Unlock()
	if kill == nil {
		return answer, nil
	}
	_, err = io.Copy(io.Discard, answer.Body) // so that it is certainly carried out
	kill()
	return nil, errors.Join(errors.New("the provider was killed"), err, answer.Body.Close())
}

// parsedRequest takes the path of a request apart; dryRun says that it is a dry run, as in a plan.
func parsedRequest(method string, at *url.URL) (_ relayed, dryRun bool) {
	parts := strings.Split(strings.Trim(at.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		parts = parts[3:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	out := relayed{method: method, resource: parts[0]}
	if len(parts) > 1 {
		out.name = parts[1]
	}
	return out, at.Query().Has("dryRun")
}

// killAt kills the provider of a command when it has made so many requests that count.
func (r *relay) killAt(change int, counts func(relayed) bool, p func() *process) (killed func() bool) {
	done := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.counts, r.kill = change, counts, func() {
		defer close(done)
		p().killProvider()
	}
	return func() bool {
		r.mu.Lock()
		began := r.kill == nil // it is taken away before it runs
		r.kill = nil
		r.mu.Unlock()
		if began {
			<-done // the command may end before the killing is reported
		}
		return began
	}
}

// forget forgets the requests up to now.
func (r *relay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
}

// killed runs a command of a workspace whose provider is killed at a request that counts, and waits for its end. It is false where
// there are fewer of them.
func (r *relay) killed(w *workspace, change int, counts func(relayed) bool, args ...string) bool {
	r.t.Helper()
	started := make(chan *process, 1)
	killed := r.killAt(change, counts, func() *process { return <-started })
	p := w.start(args...)
	started <- p
	ended := p.wait()
	if !killed() {
		return false
	}
	if ended.code == 0 {
		r.t.Fatalf("%v succeeded although its provider was killed:\n%s", args, ended.text)
	}
	return true
}

// requests are those since the last forget.
func (r *relay) requests() []relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

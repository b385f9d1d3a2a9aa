// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"k8s.io/client-go/dynamic"
)

// wire counts requests, and loses one that writes: before it is sent, or its answer.
type wire struct {
	next http.RoundTripper
	// lose is which write is lost, counted from 1; zero loses none.
	lose     int
	answered bool

	mu            sync.Mutex
	reads, writes int
}

var errLost = errors.New("the process is gone")

func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	w.mu.Lock()
	write := request.Method != http.MethodGet
	if write {
		w.writes++
	} else {
		w.reads++
	}
	lost := write && w.writes == w.lose
	w.mu.Unlock()
	if lost && !w.answered {
		return nil, errLost
	}
	answer, err := w.next.RoundTrip(request)
	if lost && err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		return nil, errors.Join(errLost, err, answer.Body.Close())
	}
	return answer, err
}

// through is a client whose requests pass a wire.
func (b *bench) through(w *wire) dynamic.Interface {
	b.Helper()
	config := b.cluster.RESTConfig()
	w.next = config.Transport
	client, err := dynamic.NewForConfigAndClient(config, &http.Client{Transport: w})
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func TestRouters_FinishWhatAKilledRunBegan(t *testing.T) {
	t.Parallel()
	const http = "  - {name: primary, route: [{destination: {host: data-collection}}]}"
	split := Split{Weight: 10, Headers: []HeaderMatch{onTrue}}
	for name, test := range map[string]struct {
		shared bool
		router func(*bench, dynamic.Interface) (Router, error)
		// Each Set and each Restore writes so often.
		sets, restores int
	}{
		"istio": {false, func(b *bench, client dynamic.Interface) (Router, error) {
			config := istioConfig("")
			config.Owner.Handle = b.owner.Handle
			return NewIstio(b.cluster, client, config)
		}, 2, 2},
		"istio, shared": {true, func(b *bench, client dynamic.Interface) (Router, error) {
			config := istioConfig("primary")
			config.Owner.Handle = b.owner.Handle
			return NewIstio(b.cluster, client, config)
		}, 2, 2},
		"gateway": {false, func(b *bench, client dynamic.Interface) (Router, error) {
			config := gatewayConfig("", nil)
			config.Owner.Handle = b.owner.Handle
			return NewGateway(b.cluster, client, config)
		}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if test.shared {
				b.Put(virtualServices.groupKind(), shared(t, http))
			}
			with := func(w *wire) Router {
				made, err := test.router(b, b.through(w))
				if err != nil {
					t.Fatal(err)
				}
				return made
			}
			for _, answered := range []bool{false, true} {
				for at := 1; at <= test.sets; at++ {
					when := fmt.Sprintf("write %d of a Set lost, carried out: %v", at, answered)
					if err := with(&wire{lose: at, answered: answered}).Set(t.Context(), split); !errors.Is(err, errLost) {
						t.Fatalf("%s: %v", when, err)
					}
					b.set(with(&wire{}), split)
					b.wantRead(with(&wire{}), split)
					if err := with(&wire{}).Restore(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for at := 1; at <= test.restores; at++ {
					when := fmt.Sprintf("write %d of a Restore lost, carried out: %v", at, answered)
					b.set(with(&wire{}), split)
					if err := with(&wire{lose: at, answered: answered}).Restore(t.Context()); !errors.Is(err, errLost) {
						t.Fatalf("%s: %v", when, err)
					}
					if err := with(&wire{}).Restore(t.Context()); err != nil {
						t.Fatalf("after %s: %v", when, err)
					}
					if seen := b.read(with(&wire{})); seen.Managed || seen.Exists != test.shared || seen.Split.Weight != 0 {
						t.Errorf("after %s: %+v", when, seen)
					}
					if b.Live(destinationRules.groupKind(), "app") != nil {
						t.Errorf("after %s the subsets are still there", when)
					}
				}
			}

			// A step costs one write; what was read before is not read again.
			b.set(with(&wire{}), split)
			w := &wire{}
			r := with(w)
			b.read(r)
			reads := w.reads
			for weight := 20; weight <= 100; weight += 20 {
				b.set(r, Split{Weight: weight})
			}
			if w.writes != 5 || w.reads != reads || reads > 2 {
				t.Errorf("5 steps: %d writes, %d reads after the %d of the first Read", w.writes, w.reads-reads, reads)
			}
		})
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// The ways in which faults lets requests fail, each in turn.
const (
	resetBefore = "reset before it was handled"
	resetAfter  = "reset after it was handled"
	tooMany     = "429 without Retry-After"
	internal    = "500"
	unavailable = "503"
	cutOff      = "body cut off"
)

var waysToFail = []string{resetBefore, tooMany, resetAfter, internal, cutOff, unavailable}

// faults lets one request in rate fail.
type faults struct {
	mu     sync.Mutex
	random *rand.Rand
	rate   int
	all    int
	failed map[string]int
	turn   int
	// log is how each request failed.
	log []string
}

func newFaults(seed uint64, rate int) *faults {
	return &faults{
		random: rand.New(rand.NewPCG(seed, seed)),
		rate:   rate,
		failed: map[string]int{},
	} //nolint:gosec // A seed makes it repeatable.
}

// choose says how a request fails; empty: not at all.
func (f *faults) choose(request *http.Request) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all++
	if f.random.IntN(f.rate) > 0 {
		return ""
	}
	way := waysToFail[f.turn%len(waysToFail)]
	f.turn++
	f.failed[way]++
	f.log = append(f.log, fmt.Sprintf("%s: %s %s", way, request.Method, request.URL))
	return way
}

// since are the failures after the first n.
func (f *faults) since(n int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log[n:])
}

func (f *faults) serve(w http.ResponseWriter, request *http.Request, next http.Handler) {
	switch way := f.choose(request); way {
	case "":
		next.ServeHTTP(w, request)
	case resetBefore:
		reset(w)
	case tooMany:
		http.Error(w, "too many requests, please try again later", http.StatusTooManyRequests)
	case internal:
		http.Error(w, "internal error of the test", http.StatusInternalServerError)
	case unavailable:
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	default:
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, request)
		if way == resetAfter {
			reset(w)
			return
		}
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2]) // The client sees what arrives.
		panic(http.ErrAbortHandler)
	}
}

// reset resets the connection of a request.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

// figures are the requests, by how they failed.
func (f *faults) figures() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	var text []string
	for _, way := range slices.Sorted(maps.Keys(f.failed)) {
		sum += f.failed[way]
		text = append(text, fmt.Sprintf("%d %s", f.failed[way], way))
	}
	return fmt.Sprintf("%d of %d requests failed: %s", sum, f.all, strings.Join(text, ", "))
}

// faultySteps are the operations on one client's stack, from nothing to nothing.
var faultySteps = []struct {
	name    string
	version string
	more    map[string]any
	// files are how many migrations there are.
	files int
	// outage takes the API server away for 20 s in the middle.
	outage bool
}{
	{name: "install", version: "v1.1.1", files: 1},
	{name: "upgrade with a migration", version: "v1.2.0", files: 2},
	{name: "upgrade while the API server is gone", version: "v1.1.1", files: 2, outage: true},
	{name: "split with a canary", version: "v1.1.1", more: withCanary("v1.2.0", 10), files: 3},
	{name: "promotion", version: "v1.2.0", more: withCanary("", 0), files: 3},
	{name: "two colors", version: "v1.2.0", more: colorful("green", "v1.1.1"), files: 3},
	{name: "one color", version: "v1.1.1", files: 3, outage: true},
}

// The whole stack of a client comes, is upgraded, split and removed, while one request in twenty fails: each operation ends well at the
// first try. SLIPWAY_TEST_FAULTY_STACKS=3 is the long run of 24 operations.
func TestStack_OneRequestInTwentyFails_NoOperationFails(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	server := testServer(t)
	stacks := 1
	if n, err := strconv.Atoi(os.Getenv("SLIPWAY_TEST_FAULTY_STACKS")); err == nil {
		stacks = n
	}
	var operations, failures int
	for seed := range stacks {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			n, failed := faultyStack(t, server, uint64(seed)+1) //nolint:gosec // Small.
			operations, failures = operations+n, failures+failed
		})
	}
	t.Logf("FIGURE %s: %d operations, %d failures", t.Name(), operations, failures)
}

func faultyStack(t *testing.T, server *postgres.Server, seed uint64) (operations, failures int) {
	t.Helper()
	c := newTenant(t)
	w := c.stackModule()
	between := newRelay(t)
	w.env = append(w.env, "TF_VAR_kubeconfig="+between.kubeconfig, "SLIPWAY_DATABASE_ADMIN_PASSWORD="+server.Password)
	between.faults = newFaults(seed, 20)
	migrations := t.TempDir()
	more := map[string]any{
		"database":   map[string]any{"host": server.Address, "port": server.Port, "sslmode": "disable"},
		"migrations": map[string]any{"directory": migrations},
	}
	run := func(name string, outage bool, args ...string) {
		operations++
		began, before := time.Now(), len(between.faults.since(0))
		p := w.start(args...)
		if outage {
			time.Sleep(6 * time.Second)
			between.hangUp()
			time.Sleep(20 * time.Second)
			between.listen(between.address)
		}
		if r := p.wait(); r.code != 0 {
			failures++
			t.Errorf("%s failed:\n%s\nThese requests failed:\n%s", name, r.text, strings.Join(between.faults.since(before), "\n"))
		}
		t.Logf("FIGURE %s: %s took %.0f s", t.Name(), name, time.Since(began).Seconds())
	}
	// What the service cannot do without.
	records, err := os.ReadFile(filepath.Join(repository, "examples", "data-collection", "migrations", "00001_expand_records.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range faultySteps {
		for i := range step.files {
			text := fmt.Sprintf("-- +goose Up\nCREATE TABLE step_%d (id bigint PRIMARY KEY);\n", i+1)
			if i == 0 {
				text = string(records)
			}
			if err := os.WriteFile(filepath.Join(migrations, fmt.Sprintf("%05d_step.sql", i+1)), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		inputs := maps.Clone(more)
		maps.Copy(inputs, step.more)
		if step.outage {
			// An analysis that the outage covers would be inconclusive, and rightly so.
			inputs["analysis"] = map[string]any{"duration": "40s", "interval": "1s"}
		}
		c.inputs(w, step.version, inputs)
		run(step.name, step.outage, strings.Fields(applyArgs)...)
		if t.Failed() {
			break // Its leftovers would fail the next ones as well.
		}
	}
	run("destroy", false, append(strings.Fields(applyArgs), "-destroy")...)
	t.Logf("FIGURE %s: %s", t.Name(), between.faults.figures())
	if _, err := harness.Kubernetes(t).CoreV1().Namespaces().Get(t.Context(), c.namespace, getOptions); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace is left: %v", err)
	}
	return operations, failures
}

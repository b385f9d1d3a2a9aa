// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

const (
	sampleService = "../../examples/data-collection"
	oldVersion    = "v1.1.1"
	oldRows       = 100_000
	loadWorkers   = 3
)

// TestMigrations_TheOldVersionAnswersWhileTheyRun runs the sample's migrations as the owner, while its version before them writes and
// reads as the application. Not one request may fail.
func TestMigrations_TheOldVersionAnswersWhileTheyRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and runs the sample service")
	}
	t.Parallel()
	c := newTestClient(t)
	c.mustEnsure()
	owner := c.mustLogin(c.spec.OwnerSecret)
	for _, sql := range []string{ // as the old version left it
		"CREATE TABLE records (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, payload jsonb NOT NULL, " +
			"received_at timestamptz NOT NULL DEFAULT now(), format smallint NOT NULL DEFAULT 1)",
		fmt.Sprintf("INSERT INTO records (source, payload) SELECT 'sensor-' || n %% 100, '{}' FROM generate_series(1, %d) n", oldRows),
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	l := startLoad(t, startService(t, c.url(c.spec.AppSecret)))
	l.phase("before", l.enough)
	paths, err := filepath.Glob(filepath.Join(sampleService, "migrations", "*.sql"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no migrations: %v", err)
	}
	var files []*sqlfile.File
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, sqlfile.Parse(filepath.Base(path), text))
		l.phase(filepath.Base(path), func() {
			migrate(t, c.url(c.spec.OwnerSecret), files)
			l.enough() // what waited is in the figures of what it waited for
		})
	}
	l.stop()
	for _, p := range l.phases {
		t.Logf("%-36s %5d requests in %6.2f s, %d failed; the longest took %v", p.name, p.requests, p.lasted.Seconds(), p.failed,
			p.longest.Round(time.Microsecond))
		if p.failed > 0 {
			t.Errorf("%s: %d of %d requests failed, the first: %s", p.name, p.failed, p.requests, p.failure)
		}
	}
	var added, dropped bool
	err = owner.QueryRow(t.Context(), `SELECT bool_or(column_name = 'region'), NOT bool_or(column_name = 'format') FROM `+
		`information_schema.columns WHERE table_name = 'records'`).Scan(&added, &dropped)
	if err != nil || !added || !dropped {
		t.Errorf("the migrations were not all applied: %v, %v, %v", added, dropped, err)
	}

	// The same load sees a change that an old version cannot live with.
	l.begin()
	l.phase("incompatible", func() {
		if _, err := owner.Exec(t.Context(), "ALTER TABLE records RENAME COLUMN payload TO content"); err != nil {
			t.Error(err)
		}
		l.enough()
	})
	l.stop()
	if last := l.phases[len(l.phases)-1]; last.failed == 0 {
		t.Error("the load does not notice a change that breaks the old version")
	}
}

func migrate(t *testing.T, url string, files []*sqlfile.File) {
	t.Helper()
	r, err := runner.Open(t.Context(), runner.Config{DSN: url, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Up(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// startService builds and runs the sample service in its old version, and returns its address.
func startService(t *testing.T, databaseURL string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "data-collection")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", sampleService, "-ldflags", "-X main.version="+oldVersion, "-o", program,
		".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the sample service: %v\n%s", err, out)
	}
	service := exec.Command(program, "serve") // ended by the clean-up, so that requests under way are finished
	service.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "HTTP_ADDR=127.0.0.1:0", "GRPC_ADDR=127.0.0.1:0")
	logs, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	address, drained := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			var line struct{ Msg, HTTP, Version string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" && line.Version == oldVersion {
				address <- line.HTTP
			}
		}
	}()
	t.Cleanup(func() {
		if err := service.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-drained
		if err := service.Wait(); err != nil {
			t.Errorf("the service: %v", err)
		}
	})
	select {
	case at := <-address:
		return "http://" + at
	case <-drained:
		t.Fatal("the service ended before it listened")
	case <-time.After(time.Minute):
		t.Fatal("the service does not listen")
	}
	return ""
}

// load writes and reads records all the time.
type load struct {
	t       *testing.T
	url     string
	mu      sync.Mutex
	current phase
	phases  []phase
	ended   chan struct{}
	workers sync.WaitGroup
}

type phase struct {
	name             string
	requests, failed int
	failure          string
	longest, lasted  time.Duration
}

func startLoad(t *testing.T, url string) *load {
	l := &load{t: t, url: url}
	l.begin()
	return l
}

func (l *load) begin() {
	l.ended = make(chan struct{})
	for range loadWorkers {
		l.workers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.ended:
					return
				default:
				}
				start := time.Now()
				err := l.request(i%2 == 0)
				l.count(time.Since(start), err)
			}
		})
	}
}

func (l *load) stop() {
	close(l.ended)
	l.workers.Wait()
}

func (l *load) request(write bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.t.Context()), 30*time.Second)
	defer cancel()
	method, path, body := http.MethodGet, "/records?limit=1", ""
	if write {
		method, path, body = http.MethodPost, "/records", `{"source": "sensor-1", "payload": {"value": 1}}`
	}
	request, err := http.NewRequestWithContext(ctx, method, l.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return err
}

func (l *load) count(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.requests++
	l.current.longest = max(l.current.longest, took)
	if err != nil {
		if l.current.failed == 0 {
			l.current.failure = err.Error()
		}
		l.current.failed++
	}
}

// phase runs something and counts the requests that ended meanwhile.
func (l *load) phase(name string, run func()) {
	start := time.Now()
	l.mu.Lock()
	l.current = phase{}
	l.mu.Unlock()
	run()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.name, l.current.lasted = name, time.Since(start)
	l.phases = append(l.phases, l.current)
}

// enough waits until every worker has ended some more requests.
func (l *load) enough() {
	done := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.current.requests
	}
	for from, deadline := done(), time.Now().Add(time.Minute); done() < from+10*loadWorkers; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Error("the load makes no requests any more")
			return
		}
	}
}

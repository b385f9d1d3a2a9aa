// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
	"github.com/slipway-dev/terraform-provider-slipway/internal/gitops"
)

func promtool(t *testing.T, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("there is no promtool on PATH")
	}
	if text, err := exec.Command("promtool", arguments...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, text)
	}
}

func TestPrometheus_ConfigurationIsWhatPromtoolTakes(t *testing.T) {
	_, f := repository(t)
	dir := t.TempDir()
	made, err := gitops.Prometheus(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.WriteFiles(t.Context(), dir, made); err != nil {
		t.Fatal(err)
	}
	if len(made) != 6+72 {
		t.Errorf("%d files", len(made))
	}
	promtool(t, "check", "config", filepath.Join(dir, "hub/prometheus.yaml"), filepath.Join(dir, "hub/remote-write.yaml"))
	promtool(t, "check", "rules", filepath.Join(dir, "hub/rules.yaml"), filepath.Join(dir, "environment/rules.yaml"))
	for _, e := range f.Environments[:3] {
		folder := filepath.Join(dir, e.Client, e.Stage)
		if err := os.Link(filepath.Join(dir, "environment/rules.yaml"), filepath.Join(folder, "rules.yaml")); err != nil {
			t.Fatal(err)
		}
		promtool(t, "check", "config", filepath.Join(folder, "prometheus.yaml"))
	}
	if again, err := fleet.WriteFiles(t.Context(), t.TempDir(), made); err != nil || again != len(made) {
		t.Errorf("%d files, %v", again, err)
	}
}

// prometheus starts a server with a configuration and returns its address.
func prometheus(t *testing.T, config, address string, more ...string) {
	t.Helper()
	arguments := append([]string{
		"--config.file=" + config, "--storage.tsdb.path=" + t.TempDir(), "--web.listen-address=" + address,
		"--log.level=error",
	}, more...)
	process := exec.Command("prometheus", arguments...)
	var log bytes.Buffer
	process.Stdout, process.Stderr = &log, &log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill() // it may have ended
		_ = process.Wait()
		if t.Failed() && log.Len() > 0 {
			t.Logf("Prometheus at %s: %s", address, log.String())
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// query queries a server until there are this many series.
func query(t *testing.T, address, expression string, want int) []map[string]string {
	t.Helper()
	var got []map[string]string
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expression))
		if err != nil {
			continue
		}
		var answer struct {
			Data struct {
				Result []struct{ Metric map[string]string }
			}
		}
		err = json.NewDecoder(response.Body).Decode(&answer)
		_ = response.Body.Close() // it was read
		if err != nil {
			continue
		}
		got = nil
		for _, series := range answer.Data.Result {
			got = append(got, series.Metric)
		}
		if len(got) == want {
			return got
		}
	}
	t.Fatalf("%s gave %d series, not %d: %v", expression, len(got), want, got)
	return nil
}

// TestPrometheus_HubSeesTheEnvironments runs two environments' servers and two hubs, one that federates and one that is written to.
func TestPrometheus_HubSeesTheEnvironments(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four Prometheus servers")
	}
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("there is no prometheus on PATH")
	}
	_, f := repository(t)
	f.Environments = []*fleet.Environment{f.Find("client-a", "prod"), f.Find("client-b", "prod")}
	addresses := []string{freeAddress(t), freeAddress(t)}
	hub, receiver := freeAddress(t), freeAddress(t)
	f.Prometheus.Target, f.Prometheus.RemoteWrite = "{test_address}", "http://"+receiver+"/api/v1/write"
	for i, e := range f.Environments {
		e.Facts["test_address"] = addresses[i]
	}
	made, err := gitops.Prometheus(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range made {
		made[name] = bytes.ReplaceAll(content, []byte("15s"), []byte("1s")) // as configured, with less patience
		if name == "hub/prometheus.yaml" {
			made[name] = bytes.ReplaceAll(made[name], []byte("scrape_timeout: 10s"), []byte("scrape_timeout: 1s"))
		}
	}
	dir := t.TempDir()
	if _, err := fleet.WriteFiles(t.Context(), dir, made); err != nil {
		t.Fatal(err)
	}
	for i, e := range f.Environments {
		folder := filepath.Join(dir, e.Client, e.Stage)
		if err := os.Link(filepath.Join(dir, "environment/rules.yaml"), filepath.Join(folder, "rules.yaml")); err != nil {
			t.Fatal(err)
		}
		prometheus(t, filepath.Join(folder, "prometheus.yaml"), addresses[i])
	}
	prometheus(t, filepath.Join(dir, "hub/prometheus.yaml"), hub)
	prometheus(t, filepath.Join(dir, "hub/remote-write.yaml"), receiver, "--web.enable-remote-write-receiver")
	for _, address := range []string{hub, receiver} {
		series := query(t, address, "fleet:heartbeat:time", 2)
		for _, one := range series {
			if one["client"] == "" || one["stage"] != "prod" || one["tier"] == "" {
				t.Errorf("%s: got %v", address, one)
			}
		}
		query(t, address, `hub:environments_reporting:count{stage="prod"} == 2`, 1)
		query(t, address, `count({__name__=~"go_.*|prometheus_.*",job!="federate-clients"})`, 0)
	}
}

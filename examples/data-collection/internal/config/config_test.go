// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func load(env map[string]string) (Config, error) {
	return Load(func(name string) string { return env[name] })
}

func TestLoad_HasDefaults(t *testing.T) {
	c, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		HTTPAddress: ":8080", GRPCAddress: ":9090",
		MaxRecordBytes: 65536, MemoryRecords: 10_000, MemoryBytes: 16 << 20,
		ReadyTimeout: time.Second, ShutdownTimeout: 20 * time.Second,
	}
	if c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestLoad_ReadsTheFaults(t *testing.T) {
	c, err := load(map[string]string{
		"READINESS_DELAY": "1s", "FAIL_READINESS_AFTER": "30s", "ERROR_SHARE": "0.2", "ERROR_AFTER": "15s", "LATENCY": "5ms",
		"REPORT_VERSION": "v1.0.0", "CRASH_AFTER": "1m", "CRASH_ON_START": "1", "LOG_LEVEL": "debug",
	})
	if err != nil {
		t.Fatal(err)
	}
	f := c.Faults
	if f.ReadinessDelay != time.Second || f.FailReadinessAfter != 30*time.Second || f.ErrorShare != 0.2 || f.ErrorAfter != 15*time.Second ||
		f.Latency != 5*time.Millisecond || f.CrashAfter != time.Minute || !f.CrashOnStart || f.ReportVersion != "v1.0.0" ||
		c.LogLevel != slog.LevelDebug {
		t.Errorf("got %+v", c)
	}
}

func TestLoad_NamesEveryVariableThatIsWrong(t *testing.T) {
	bad := map[string]string{
		"ERROR_SHARE": "1.5", "ERROR_AFTER": "soon", "LATENCY": "5", "CRASH_AFTER": "-1s", "CRASH_ON_START": "perhaps", "LOG_LEVEL": "loud",
		"MAX_RECORD_BYTES": "0", "MEMORY_RECORDS": "many", "DB_HOST": "db", "DB_PORT": "70000",
	}
	_, err := load(bad)
	if err == nil {
		t.Fatal("no error")
	}
	for name, value := range bad {
		if name != "DB_HOST" && !strings.Contains(err.Error(), name+" is \""+value+"\"") {
			t.Errorf("%s=%s is not in the error:\n%v", name, value, err)
		}
	}
	if _, err := load(map[string]string{"ERROR_SHARE": "NaN"}); err == nil {
		t.Error("ERROR_SHARE=NaN is taken")
	}
}

func TestLoad_FindsTheDatabase(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want string
	}{
		"none":      {nil, ""},
		"whole URL": {map[string]string{"DATABASE_URL": "postgres://u@h/d", "DB_HOST": "other"}, "postgres://u@h/d"},
		"host only": {map[string]string{"DB_HOST": "db"}, "postgres://db:5432/data-collection?sslmode=require"},
		"all parts": {
			map[string]string{
				"DB_HOST":     "::1",
				"DB_PORT":     "6432",
				"DB_NAME":     "records",
				"DB_USER":     "app",
				"DB_PASSWORD": "p@ss/w:rd",
				"DB_SSLMODE":  "disable",
			},
			"postgres://app:p%40ss%2Fw%3Ard@[::1]:6432/records?sslmode=disable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(test.env)
			if err != nil || c.DatabaseURL != test.want {
				t.Errorf("got %q (%v), want %q", c.DatabaseURL, err, test.want)
			}
		})
	}
}

func TestLoad_KeepsSecretsOutOfErrors(t *testing.T) {
	_, err := load(map[string]string{
		"DB_HOST": "db", "DB_PASSWORD": "canary-password", "API_TOKEN": "canary-token",
		"DATABASE_URL": "", "ERROR_SHARE": "x",
	})
	if err == nil || !strings.Contains(err.Error(), "DB_USER is not") {
		t.Fatalf("got error %v, want one about DB_USER", err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is in the error: %v", err)
	}
}

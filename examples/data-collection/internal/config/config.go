// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package config reads the service's settings from environment variables.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/faults"
)

// Config is everything that can be set. The README of the service lists the variables.
type Config struct {
	HTTPAddress     string
	GRPCAddress     string
	Client          string
	Stage           string
	APIToken        string // empty: records are taken from anybody
	LogLevel        slog.Level
	MaxRecordBytes  int64
	MemoryRecords   int
	MemoryBytes     int
	DatabaseURL     string // empty: records stay in memory; holds a password
	CreateTable     bool
	ReadyTimeout    time.Duration
	ShutdownTimeout time.Duration
	Faults          faults.Faults
}

// Load reads a Config through getenv, usually os.Getenv. A variable that is empty counts as not set. The error lists
// every variable that cannot be used, and never the value of one that may be secret.
func Load(getenv func(string) string) (Config, error) {
	r := reader{getenv: getenv}
	c := Config{
		HTTPAddress:     r.text("HTTP_ADDR", ":8080"),
		GRPCAddress:     r.text("GRPC_ADDR", ":9090"),
		Client:          r.text("CLIENT", ""),
		Stage:           r.text("STAGE", ""),
		APIToken:        r.text("API_TOKEN", ""),
		LogLevel:        r.level("LOG_LEVEL"),
		MaxRecordBytes:  int64(r.number("MAX_RECORD_BYTES", 64<<10, 16<<20)),
		MemoryRecords:   r.number("MEMORY_RECORDS", 10_000, 10_000_000),
		MemoryBytes:     r.number("MEMORY_BYTES", 16<<20, 1<<30),
		DatabaseURL:     r.databaseURL(),
		CreateTable:     r.flag("DB_CREATE_TABLE"),
		ReadyTimeout:    r.duration("READY_TIMEOUT", time.Second),
		ShutdownTimeout: r.duration("SHUTDOWN_TIMEOUT", 20*time.Second),
		Faults: faults.Faults{
			ReadinessDelay:     r.duration("READINESS_DELAY", 0),
			FailReadinessAfter: r.duration("FAIL_READINESS_AFTER", 0),
			ErrorShare:         r.share("ERROR_SHARE"),
			ErrorAfter:         r.duration("ERROR_AFTER", 0),
			Latency:            r.duration("LATENCY", 0),
			CrashAfter:         r.duration("CRASH_AFTER", 0),
			CrashOnStart:       r.flag("CRASH_ON_START"),
			ReportVersion:      r.text("REPORT_VERSION", ""),
		},
	}
	if err := errors.Join(r.errs...); err != nil {
		return Config{}, fmt.Errorf("the environment variables cannot be used:\n%w", err)
	}
	return c, nil
}

type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) bad(name, value, want string) {
	r.errs = append(r.errs, fmt.Errorf("%s is %q: %s", name, value, want))
}

func (r *reader) text(name, fallback string) string {
	if v := r.getenv(name); v != "" {
		return v
	}
	return fallback
}

// number reads a whole number from 1 to most.
func (r *reader) number(name string, fallback, most int) int {
	v := r.getenv(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		r.bad(name, v, fmt.Sprintf("a whole number from 1 to %d is needed", most))
		return fallback
	}
	return n
}

func (r *reader) duration(name string, fallback time.Duration) time.Duration {
	v := r.getenv(name)
	if v == "" {
		return fallback
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		r.bad(name, v, "a duration such as \"30s\" is needed")
		return fallback
	}
	return d
}

func (r *reader) share(name string) float64 {
	v := r.getenv(name)
	if v == "" {
		return 0
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 1) { // the negation refuses NaN too
		r.bad(name, v, "a number from 0 to 1 is needed")
		return 0
	}
	return f
}

func (r *reader) flag(name string) bool {
	v := r.getenv(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		r.bad(name, v, "true or false is needed")
	}
	return b
}

func (r *reader) level(name string) slog.Level {
	var level slog.Level
	if v := r.getenv(name); v != "" {
		if err := level.UnmarshalText([]byte(v)); err != nil {
			r.bad(name, v, "debug, info, warn or error is needed")
		}
	}
	return level
}

// databaseURL takes DATABASE_URL, or puts a URL together from the DB_ variables where DB_HOST is set.
func (r *reader) databaseURL() string {
	if v := r.getenv("DATABASE_URL"); v != "" {
		return v
	}
	host := r.getenv("DB_HOST")
	if host == "" {
		return ""
	}
	u := url.URL{
		Scheme: "postgres",
		Host:   net.JoinHostPort(host, strconv.Itoa(r.number("DB_PORT", 5432, 65535))),
		Path:   "/" + r.text("DB_NAME", "data-collection"),
	}
	if user := r.getenv("DB_USER"); user != "" {
		u.User = url.UserPassword(user, r.getenv("DB_PASSWORD"))
	} else if r.getenv("DB_PASSWORD") != "" {
		r.errs = append(r.errs, errors.New("DB_PASSWORD is set and DB_USER is not"))
	}
	u.RawQuery = url.Values{"sslmode": {r.text("DB_SSLMODE", "require")}}.Encode()
	return u.String()
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// databaseServer is the PostgreSQL server on which both clients get a database.
type databaseServer struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
	SSLMode  string `json:"sslmode"`
}

const (
	runnerImage   = "ghcr.io/slipway-dev/slipway-migrate"
	runnerVersion = "v0.1.0"
	// adminVariable is where the provider looks for the administrator's password.
	adminVariable        = "SLIPWAY_DATABASE_ADMIN_PASSWORD"
	databaseSettingsFile = "database.tfvars"
	// serverFile has the address of the server, for later runs of the demo. The server ends when it, or the cluster, is gone.
	serverFile = "postgres.json"
)

func (s *databaseServer) url() string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(s.User, s.Password), Host: net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), Path: "/postgres",
		RawQuery: url.Values{"sslmode": {s.SSLMode}}.Encode(),
	}
	return u.String()
}

// startDatabase starts a server that lives as long as the local cluster, or takes the one of an earlier run. A cluster of the
// user's has one where DEMO_DATABASE says so.
func (p *place) startDatabase(ctx context.Context, s *screen, home string) (err error) {
	if !p.local {
		p.database, err = givenDatabase(os.Getenv("DEMO_DATABASE"))
		return err
	}
	s.heading("Start a PostgreSQL server for the clients' databases")
	if err := s.must(ctx, command{program: "test/postgres/install.sh", show: onlyIfFailed}); err != nil {
		return err
	}
	archive := filepath.Join(home, "slipway-migrate.tar")
	for _, args := range [][]string{
		{"run", "./test/image/cmd/image", "slipway-migrate", "--version", runnerVersion, "--out", archive},
		{"run", "./test/cluster/cmd/cluster", "load", "--name", clusterName, archive},
	} {
		if err := s.must(ctx, command{program: "go", args: args, show: onlyIfFailed}); err != nil {
			return err
		}
	}
	file := filepath.Join(home, serverFile)
	if p.database, err = readServer(ctx, file); err != nil || p.database != nil {
		return err
	}
	address, err := p.hostAddress()
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := spawnServer(home, address); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if p.database, err = readServer(ctx, file); err != nil || p.database != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not start; see %s", serverLog(home))
		}
	}
}

func serverLog(home string) string { return filepath.Join(home, "postgres.log") }

// givenDatabase reads the URL of a server's administrator. Nil for an empty one.
func givenDatabase(text string) (*databaseServer, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User == nil {
		return nil, fmt.Errorf("%w: DEMO_DATABASE is no URL such as postgres://admin:password@host:5432", errUsage)
	}
	port, err := strconv.Atoi(cmp.Or(u.Port(), "5432"))
	if err != nil {
		return nil, fmt.Errorf("%w: DEMO_DATABASE has no port that can be used", errUsage)
	}
	password, _ := u.User.Password()
	return &databaseServer{
		Host:     u.Hostname(),
		Port:     port,
		User:     u.User.Username(),
		Password: password,
		SSLMode:  cmp.Or(u.Query().Get("sslmode"), "verify-full"),
	}, nil
}

// readServer returns nil where there is no server that answers.
func readServer(ctx context.Context, file string) (*databaseServer, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out databaseServer
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if !out.answers(ctx) {
		return nil, nil
	}
	return &out, nil
}

// answers says whether the server is there and is the one that has these credentials. That something takes connections at
// its address is not enough: the file may be older than the cluster whose address that is.
func (s *databaseServer) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := query(ctx, s.url(), "postgres", "SELECT 'here'")
	return err == nil
}

// write makes the file anew, in one step for those who wait for it.
func (s *databaseServer) write(file string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// hostAddress is this machine's end of the link to the local cluster's node, which pods reach.
func (p *place) hostAddress() (string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig %s: %w", p.kubeconfig, err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return "", err
	}
	node, err := netip.ParseAddr(server.Hostname())
	if err != nil {
		return "", fmt.Errorf("the API server's address: %w", err)
	}
	return node.Prev().String(), nil
}

// spawnServer starts a process of its own for the server, which outlives the demo.
func spawnServer(home, address string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(serverLog(home))
	if err != nil {
		return err
	}
	server := exec.Command(program, "--name", clusterName, "--postgres", address) // without a context: it is to outlive this process
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return errors.Join(server.Start(), log.Close())
}

// servePostgres runs a server until the local cluster, or the server's file, is gone.
func servePostgres(ctx context.Context, address string) (err error) {
	home, err := homeDir()
	if err != nil {
		return err
	}
	p, err := choosePlace()
	if err != nil {
		return err
	}
	server, err := postgres.Start(ctx, postgres.Options{Address: address})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	about := &databaseServer{Host: server.Address, Port: server.Port, User: server.User, Password: server.Password, SSLMode: "disable"}
	file := filepath.Join(home, serverFile)
	if err := about.write(file); err != nil {
		return err
	}
	for {
		for _, needed := range []string{file, p.kubeconfig} {
			if _, err := os.Stat(needed); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// stopDatabase ends the server of the local cluster, and returns when it is gone.
func stopDatabase(ctx context.Context, home string) error {
	file := filepath.Join(home, serverFile)
	server, err := readServer(ctx, file)
	if err != nil || server == nil {
		return err
	}
	if err := os.Remove(file); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); server.answers(ctx); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the PostgreSQL server at port %d does not end", server.Port)
		}
	}
	return nil
}

// identity distinguishes places whose state is of no use in the other.
func (p *place) identity() string {
	if p.database == nil {
		return p.uid
	}
	return p.uid + " " + net.JoinHostPort(p.database.Host, strconv.Itoa(p.database.Port))
}

// databaseArgs are added to each plan and apply where there are databases.
func (p *place) databaseArgs() []string {
	if p.database == nil {
		return nil
	}
	return []string{"-var-file=" + databaseSettingsFile}
}

func (p *place) databaseEnv() []string {
	if p.database == nil {
		return nil
	}
	return []string{adminVariable + "=" + p.database.Password}
}

// shownEnv is databaseEnv without a password of the user's.
func (p *place) shownEnv() []string {
	if p.database != nil && !p.local {
		return []string{adminVariable + "=…"}
	}
	return p.databaseEnv()
}

// useDatabase configures the server in Terraform. The password is in its environment only.
func (d *deployments) useDatabase(p *place) error {
	if p.database == nil {
		return nil
	}
	d.env, d.extra = append(d.env, p.databaseEnv()...), append(d.extra, p.databaseArgs()...)
	image := ""
	if given := os.Getenv("DEMO_MIGRATE_IMAGE"); given != "" && !p.local {
		image = fmt.Sprintf(", image = %q", given)
	}
	text := fmt.Sprintf(`database = { host = %q, port = %d, admin_user = %q, sslmode = %q }

# In production the clean-up waits until the new version was known good for a day.
migrations = { soak = "0s"%s }
`, p.database.Host, p.database.Port, p.database.User, p.database.SSLMode, image)
	return os.WriteFile(filepath.Join(d.dir, databaseSettingsFile), []byte(text), 0o644)
}

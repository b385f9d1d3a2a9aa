// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

// migrationsDir is where the vendor's repository has its migrations.
const migrationsDir = "examples/data-collection/migrations"

// laterMigrations come with a pull request during the demo.
var laterMigrations = []string{"00002_index_records_by_source.sql", "00003_contract_records.sql"}

func (c client) database() string { return c.workspace() + "-db" }

// holdMigrationsBack takes the later migrations out of the repository, unless an earlier demo has applied them.
func holdMigrationsBack(ctx context.Context, d *deployments, p *place) error {
	if p.database == nil {
		return nil
	}
	for _, c := range []client{clientA, clientB} {
		applied, err := query(ctx, p.database.url(), c.database(),
			"SELECT indexname::text FROM pg_indexes WHERE indexname = 'records_source_received_at'")
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "3D000" {
			continue // there is no database yet
		}
		if err != nil {
			return err
		}
		if applied != "" {
			return nil
		}
	}
	for _, name := range laterMigrations {
		if err := os.Remove(filepath.Join(d.dir, migrationsDir, name)); err != nil {
			return err
		}
	}
	return nil
}

// showDatabases stores a record with each client's service, and shows that neither gets at the other's.
func showDatabases(ctx context.Context, s *screen, p place) error {
	if p.database == nil {
		s.say("The clients have no databases: this is shown where DEMO_DATABASE=postgres://admin:password@host names a server, and " +
			"DEMO_MIGRATE_IMAGE the runner's image.")
		return nil
	}
	s.heading("Each service stores a record, in the client's own database")
	for _, c := range []client{clientA, clientB} {
		if err := storeRecord(ctx, s, p, c); err != nil {
			return err
		}
		sources, err := query(ctx, p.database.url(), c.database(), "SELECT DISTINCT source FROM records ORDER BY source")
		if err != nil {
			return err
		}
		s.say("  database %s has records of: %s", c.database(), sources)
		if sources != c.name {
			return fmt.Errorf("database %s has records of %q", c.database(), sources)
		}
	}
	s.heading("Client B's credentials do not open client A's database")
	secret, err := p.client.CoreV1().Secrets(clientB.namespace).Get(ctx, clientB.database()+"-app", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the Secret of %s: %w", clientB.name, err)
	}
	_, err = query(ctx, string(secret.Data["DATABASE_URL"]), clientA.database(), "SELECT 'in'")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "42501" {
		return fmt.Errorf("client B's role was not refused by client A's database, but: %w", err)
	}
	s.say("  PostgreSQL says: %s", refused.Message)
	return nil
}

// query returns the first column of all rows. database takes the place of the URL's own.
func query(ctx context.Context, url, database, sql string) (_ string, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return "", errors.New("the URL of the database cannot be parsed")
	}
	config.Database = database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", fmt.Errorf("connecting to the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return "", fmt.Errorf("asking the database: %w", err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(values, ", "), err
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// storeRecord sends a record through a port that kubectl forwards. The API server's proxy would keep the token for itself.
func storeRecord(ctx context.Context, s *screen, p place, c client) (err error) {
	kubectl := "kubectl"
	if p.local {
		local, err := cluster.Open(clusterName)
		if err != nil {
			return err
		}
		kubectl = filepath.Join(local.Programs()[0], "kubectl")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	forward := command{program: kubectl, args: []string{"port-forward", "--namespace", c.namespace, "service/" + serviceName, ":80"}}
	s.say("%s", s.style("32", "$ "+forward.String()+" &"))
	process := exec.CommandContext(ctx, forward.program, forward.args...)
	process.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return fmt.Errorf("starting kubectl: %w", err)
	}
	defer func() {
		cancel()
		_ = process.Wait() // it was killed
	}()
	lines := bufio.NewScanner(output)
	address := ""
	for address == "" && lines.Scan() {
		if found := forwarding.FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	if address == "" {
		return fmt.Errorf("kubectl forwards no port to the service of %s", c.name)
	}
	body := fmt.Sprintf(`{"source": %q, "payload": {"temperature": 21.5}}`, c.name)
	s.say("%s", s.style("32", fmt.Sprintf("$ curl --header 'Authorization: Bearer …' --data '%s' http://%s/records", body, address)))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/records", strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+apiToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("sending a record to %s: %w", c.name, err)
	}
	answer, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("sending a record to %s: %w", c.name, err)
	}
	s.say("%s", strings.TrimSpace(string(answer)))
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("the service of %s answers %s", c.name, response.Status)
	}
	return nil
}

// migrateUnderLoad brings new migrations to both clients while the old version of the service runs, and counts what its users notice.
func migrateUnderLoad(ctx context.Context, s *screen, d *deployments, p place) (err error) {
	if p.database == nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(d.dir, migrationsDir, laterMigrations[0])); err == nil {
		s.say("Their databases have all migrations already, from an earlier demo.")
		return nil
	}
	s.heading("A pull request: an index, and the clean-up of a column that only old versions used")
	for _, name := range laterMigrations {
		text, err := os.ReadFile(filepath.Join(migrationsDir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.dir, migrationsDir, name), text, 0o644); err != nil {
			return err
		}
		s.say("%s\n", strings.TrimSpace(string(text)))
	}
	for _, c := range []client{clientA, clientB} {
		if err := d.workspace(ctx, c.workspace()); err != nil {
			return err
		}
		if c == clientA {
			s.heading("What its reviewer sees: what is pending, and what the linter says")
			if _, err := d.plan(ctx, c, ""); err != nil {
				return err
			}
			s.heading("Apply it to both clients, while a pod asks client A's service for its database 20 times a second")
			users, err := startUsers(ctx, p, c, "/readyz")
			if err != nil {
				return err
			}
			if err := d.apply(ctx, c); err != nil {
				return errors.Join(err, users.stop())
			}
			seen, err := users.report(ctx)
			if err = errors.Join(err, users.stop()); err != nil {
				return err
			}
			s.say("  %d requests, of which %d failed; without an answer: %d", seen.Requests, seen.Failed, seen.Unserved)
			if seen.Requests == 0 || seen.Failed+seen.Unserved > 0 {
				return errors.New("the old version did not answer every request while its database was migrated")
			}
			continue
		}
		if err := d.apply(ctx, c); err != nil {
			return err
		}
	}
	for _, c := range []client{clientA, clientB} {
		left, err := query(ctx, p.database.url(), c.database(),
			"SELECT column_name::text FROM information_schema.columns WHERE table_name = 'records' AND column_name IN ('region', 'format')")
		if err != nil {
			return err
		}
		if left != "region" {
			return fmt.Errorf("database %s has, of the columns region and format: %s", c.database(), left)
		}
	}
	s.say("%s Both databases are migrated, and no request failed.", s.style("32", "✓"))
	return nil
}

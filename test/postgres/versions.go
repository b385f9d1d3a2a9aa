// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package postgres

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/test/cache"
)

//go:embed servers.txt
var servers string

// Versions are the major versions of PostgreSQL that install-versions.sh keeps in the cache, in ascending order.
func Versions() []int {
	var versions []int
	for major := range packages() {
		versions = append(versions, major)
	}
	slices.Sort(versions)
	return versions
}

// packages are the pinned versions of the servers, by major version.
func packages() map[int]string {
	pinned := map[int]string{}
	for line := range strings.Lines(servers) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] != "#" {
			if major, err := strconv.Atoi(fields[0]); err == nil {
				pinned[major] = fields[1]
			}
		}
	}
	return pinned
}

// OnEachVersion runs a test as a subtest for each version, with a server of this version, and skips the versions that are not
// in the cache. The run of the integration tests does not repeat it, since no cluster has a part in it.
func OnEachVersion(t *testing.T, test func(t *testing.T, version int, server *Server)) {
	t.Helper()
	if os.Getenv("SLIPWAY_TEST_KUBECONFIG") != "" {
		t.Skip("the unit tests run on each version of PostgreSQL: unset SLIPWAY_TEST_KUBECONFIG")
	}
	for _, version := range Versions() {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) {
			test(t, version, forTest(t, Options{Version: version}))
		})
	}
}

// cached is the directory of the programs of a version in the cache.
func cached(version int) (string, error) {
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	pinned, known := packages()[version]
	if !known {
		return "", fmt.Errorf("there is no server of PostgreSQL %d in servers.txt", version)
	}
	dir = filepath.Join(dir, "bin", "postgres-"+pinned)
	if _, err := os.Stat(filepath.Join(dir, "bin", "postgres")); err != nil {
		return "", fmt.Errorf("%w: %s is missing (test/postgres/install-versions.sh)", ErrNotInstalled, dir)
	}
	return dir, nil
}

// copyCached copies the programs of a version below the server's directory, since the unprivileged account of the server may not
// be allowed to read the cache, and returns the directory of the copies.
func (s *Server) copyCached(version int) (bin string, err error) {
	from, err := cached(version)
	if err != nil {
		return "", err
	}
	to := filepath.Join(s.dir, "programs")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", fmt.Errorf("copying the programs of PostgreSQL %d: %w", version, err)
	}
	return filepath.Join(to, "bin"), nil
}

#!/usr/bin/env bash
# The quick checks, for each push: they need neither root nor a cluster. `make test` needs both, and leaves out the
# race detector and the fuzz targets.
set -euo pipefail
cd "$(dirname "$0")/.."
export CHECKPOINT_DISABLE=1
unset KUBECONFIG TF_CLI_CONFIG_FILE TF_WORKSPACE SLIPWAY_TEST_KUBECONFIG

step() {
	printf '\n== %s (at %d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60))
}

step "unit tests, with the race detector"
test/unit.sh -race

step "lint"
test/lint.sh

step "documentation"
test/docs.sh

step "fuzz targets"
test/fuzz.sh

step "known vulnerabilities"
test/vuln.sh

step "all checks passed"

#!/usr/bin/env bash
# Runs all checks and tests of the project, those that fail soonest first, and everything that needs a cluster on a local
# Kubernetes that lives as long as this script. What is built for the tests is kept in the cache for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

# A name of this checkout's own, so that runs in two checkouts do not take each other's cluster down.
cluster=slipway-test-$(pwd | cksum | cut -d ' ' -f 1)
work=$(mktemp -d)
builder=
export CHECKPOINT_DISABLE=1
# A cluster or a configuration of the user's has no part in this.
unset KUBECONFIG TF_CLI_CONFIG_FILE TF_WORKSPACE SLIPWAY_TEST_KUBECONFIG

step() {
	printf '\n== %s (at %d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60))
}

finish() {
	local status=$?
	trap - EXIT INT TERM
	if [[ -n $builder ]]; then
		kill "$builder" 2>/dev/null || true
		wait "$builder" 2>/dev/null || true
	fi
	if [[ -x $work/cluster ]]; then
		step "taking the cluster down"
		"$work/cluster" down --name "$cluster" --purge || status=1
	fi
	rm -rf "$work"
	if ((status == 0)); then
		step "all tests passed"
	else
		step "FAILED"
	fi
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "building the test tools; Kubernetes, OpenTofu and Istio continue in the background"
go build -o "$work/" ./test/cluster/cmd/build ./test/cluster/cmd/cluster ./test/image/cmd/image
"$work/build" kubernetes coredns opentofu istio >"$work/build.log" 2>&1 &
builder=$!

step "PostgreSQL"
test/postgres/install.sh
test/postgres/install-versions.sh

step "unit tests"
test/unit.sh

step "lint"
test/lint.sh

step "known vulnerabilities"
test/vuln.sh

step "waiting for Kubernetes, OpenTofu and Istio"
if ! wait "$builder"; then
	cat "$work/build.log"
	exit 1
fi
builder=

step "documentation"
test/docs.sh

step "module tests"
test/module.sh

step "tests of the local Kubernetes"
go test -timeout 15m ./test/cluster/... ./test/debian/... ./test/image/...

step "starting the cluster"
"$work/cluster" down --name "$cluster" --purge # what a killed run left
test/cluster-up.sh "$cluster" "$work"
SLIPWAY_TEST_KUBECONFIG=$("$work/cluster" kubeconfig --name "$cluster")
export SLIPWAY_TEST_KUBECONFIG

step "integration and acceptance tests"
test/acceptance.sh

step "the demo, on the same cluster"
go run ./test/demo --name "$cluster"

#!/usr/bin/env bash
# Runs the tests that need no cluster, of the provider and of the sample service. Arguments go to `go test`.
set -euo pipefail
cd "$(dirname "$0")/.."
unset SLIPWAY_TEST_KUBECONFIG

go test -short -p 2 -timeout 40m "$@" ./...
go -C examples/data-collection test -p 2 -timeout 20m "$@" ./...

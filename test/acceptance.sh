#!/usr/bin/env bash
# Runs the tests that need a cluster, on the one of SLIPWAY_TEST_KUBECONFIG, else of KUBECONFIG, else of `make cluster-up`.
# What Terraform itself drives runs with each program of SLIPWAY_TEST_TOOLS (names or paths; default: terraform where it is
# installed, and an OpenTofu that is built): all of it with the first, with the others what depends on the program (plans,
# texts, secrets, signals, functions). RUN limits the tests to those that match, as -run does.
set -euo pipefail
cd "$(dirname "$0")/.."

kubeconfig=${SLIPWAY_TEST_KUBECONFIG:-${KUBECONFIG:-}}
if [[ -z $kubeconfig ]]; then
	kubeconfig=$(go run ./test/cluster/cmd/cluster kubeconfig --name slipway)
fi
export SLIPWAY_TEST_KUBECONFIG=$kubeconfig CHECKPOINT_DISABLE=1
unset TF_CLI_CONFIG_FILE # the tests have configurations of their own

if [[ -z ${SLIPWAY_TEST_TOOLS:-} ]]; then
	SLIPWAY_TEST_TOOLS="$(command -v terraform || true) $(go run ./test/cluster/cmd/build opentofu)/tofu"
fi

# Not from go's cache of results, which does not see that the cluster or the provider's program are other ones.
# More tests at once than processors: most of the time they wait for pods.
flags=(-count 1 -p 2 -parallel 4 -timeout 60m)
if [[ -n ${RUN:-} ]]; then
	flags+=(-run "$RUN")
fi

# Packages whose tests Terraform drives run with each program; the rest of internal/, test/fleet and test/istio run once.
driven=(./internal/provider/... ./test/acceptance/...)
mapfile -t others < <(comm -23 <(go list ./internal/... ./test/fleet/... ./test/istio/... | sort) <(go list "${driven[@]}" | sort))

failed=0
echo "-- integration tests"
go test "${flags[@]}" "${others[@]}" || failed=1

extent=()
for tool in $SLIPWAY_TEST_TOOLS; do
	program=$(command -v "$tool")
	version=$("$program" version)
	echo "-- acceptance tests with ${version%%$'\n'*}"
	# Where each program looks for a provider of which the configuration gives no source.
	registry=registry.terraform.io
	if [[ $version == OpenTofu* ]]; then
		registry=registry.opentofu.org
	fi
	TF_ACC=1 TF_ACC_TERRAFORM_PATH=$program TF_ACC_PROVIDER_HOST=$registry \
		go test "${flags[@]}" "${extent[@]}" "${driven[@]}" || failed=1
	extent=(-short)
done
exit "$failed"

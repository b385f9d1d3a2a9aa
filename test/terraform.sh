#!/usr/bin/env bash
# Runs terraform with the given arguments or, where it is not installed, an OpenTofu that is built on first use. TERRAFORM
# names another program. `test/terraform.sh --path` prints which program it is instead of running it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

program=${TERRAFORM:-$(command -v terraform || true)}
if [[ -z $program ]]; then
	program=$(go -C "$root" run ./test/cluster/cmd/build opentofu)/tofu
fi
if [[ ${1:-} == --path ]]; then
	command -v "$program"
	exit
fi
exec "$program" "$@"

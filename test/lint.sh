#!/usr/bin/env bash
# Checks the Go code of the provider and of the sample service, and the format of all Terraform code.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

failed=0
for module in "$root" "$root/examples/data-collection"; do
	cd "$module"
	"$root/tools/lint/lint.sh" run --config "$root/.golangci.yml" ./... || failed=1
done

cd "$root"
if ! test/terraform.sh fmt -check -diff -recursive; then
	echo "run \`make fmt\`" >&2
	failed=1
fi
exit "$failed"

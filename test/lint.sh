#!/usr/bin/env bash
# Checks all Go code that is the project's own, and the format of all Terraform code.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

for module in "$root" "$root/examples/data-collection"; do
	cd "$module"
	"$root/tools/lint/lint.sh" run --config "$root/.golangci.yml" ./...
	go vet ./...
done

cd "$root"
if ! test/terraform.sh fmt -check -diff -recursive; then
	echo "run \`make fmt\`" >&2
	exit 1
fi

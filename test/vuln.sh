#!/usr/bin/env bash
# Looks for known vulnerabilities in the code that the provider and its commands really call. The database is at vuln.go.dev; where it
# cannot be reached, nothing is checked, and the last line says so. VULN_REQUIRED=1 makes that an error.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

database=https://vuln.go.dev
if ! curl --fail --silent --show-error --max-time 20 --output /dev/null "$database/index/modules.json" 2>"$work/log"; then
	echo "SKIPPED: nothing was checked for vulnerabilities, since $database cannot be reached: $(head -1 "$work/log")"
	[[ ${VULN_REQUIRED:-} != 1 ]]
	exit
fi

go -C "$root/tools/vuln" build -o "$work/" golang.org/x/vuln/cmd/govulncheck
failed=0
for module in "$root" "$root/examples/data-collection"; do
	"$work/govulncheck" -C "$module" ./... || failed=1
done
exit "$failed"

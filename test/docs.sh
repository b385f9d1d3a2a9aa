#!/usr/bin/env bash
# Checks that docs/ is what `make generate` writes. It is afterwards, in any case.
set -euo pipefail
cd "$(dirname "$0")/.."

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -R docs/. "$before"
tools/docs/generate.sh
if ! diff -ru "$before" docs; then
	echo "docs/ was not what the schema, templates/ and examples/ say; now it is: look at it and commit it" >&2
	exit 1
fi

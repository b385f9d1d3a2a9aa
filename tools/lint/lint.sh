#!/usr/bin/env bash
# Runs golangci-lint, at the version that this directory pins, with the given arguments. The first run builds it into the
# cache, which takes about two minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway}
module=github.com/golangci/golangci-lint/v2

version=$(go -C "$here" list -m -f '{{.Version}}' "$module")
# A linter understands only the Go that it was built with.
program=$cache/bin/golangci-lint-$version-$(go env GOVERSION)
if [[ ! -x $program ]]; then
	echo "building golangci-lint $version" >&2
	mkdir -p "$cache/bin"
	CGO_ENABLED=0 go -C "$here" build -trimpath -ldflags='-s -w' -o "$program.$$" "$module/cmd/golangci-lint"
	mv "$program.$$" "$program"
fi
exec "$program" "$@"

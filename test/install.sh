#!/usr/bin/env bash
# Builds the provider, as the version given, into a directory in the form of a provider mirror: by default the one of the
# user, in which `terraform init` and `tofu init` look by themselves.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
mirror=${2:-$HOME/.terraform.d/plugins}

name=slipway-dev/slipway/$version/$(go env GOOS)_$(go env GOARCH)/terraform-provider-slipway_v$version
built=$mirror/registry.terraform.io/$name
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$built" .

# OpenTofu looks under the name of its own registry.
copy=$mirror/registry.opentofu.org/$name
mkdir -p "$(dirname "$copy")"
cp -f "$built" "$copy"
printf '%s\n' "$built" "$copy"

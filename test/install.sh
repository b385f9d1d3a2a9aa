#!/usr/bin/env bash
# Builds the provider, as the version given, into a directory in the form of a provider mirror: by default the one of the
# user, in which `terraform init` and `tofu init` look by themselves.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
mirror=${2:-$HOME/.terraform.d/plugins}

platform=$(go env GOOS)_$(go env GOARCH)
for registry in registry.terraform.io registry.opentofu.org; do
	dir=$mirror/$registry/slipway-dev/slipway/$version/$platform
	mkdir -p "$dir"
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$dir/terraform-provider-slipway_v$version" .
	echo "$dir/terraform-provider-slipway_v$version"
done

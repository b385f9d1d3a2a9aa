#!/usr/bin/env bash
# Writes docs/ from the provider's schema, templates/ and examples/. TERRAFORM says which program describes the schema:
# terraform or tofu, by name or path; see test/terraform.sh.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
terraform=$("$root/test/terraform.sh" --path)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go -C "$root" build -o "$work/terraform-provider-slipway" .

# tfplugindocs looks the provider up under the namespace "hashicorp", whatever its real one is.
mkdir "$work/root"
cat >"$work/root/main.tf" <<-'EOF'
	terraform {
	  required_providers {
	    slipway = { source = "registry.terraform.io/hashicorp/slipway" }
	  }
	}
EOF
cat >"$work/terraformrc" <<-EOF
	provider_installation {
	  dev_overrides { "registry.terraform.io/hashicorp/slipway" = "$work" }
	}
EOF
TF_CLI_CONFIG_FILE=$work/terraformrc CHECKPOINT_DISABLE=1 \
	"$terraform" -chdir="$work/root" providers schema -json >"$work/schema.json"

# tfplugindocs tells all that it does; only what goes wrong is of interest.
tfplugindocs() {
	if ! go -C "$root/tools/docs" tool tfplugindocs "$@" --provider-dir "$root" --providers-schema "$work/schema.json" \
		--provider-name slipway >"$work/log" 2>&1; then
		cat "$work/log" >&2
		return 1
	fi
}
tfplugindocs generate --rendered-provider-name Slipway
tfplugindocs validate

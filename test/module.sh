#!/usr/bin/env bash
# Runs `terraform test` on the module examples/client-stack, and validates it and the root module, with the provider of this
# checkout.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
terraform=$("$root/test/terraform.sh" --path)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/test/install.sh" 0.1.0 "$work/mirror" >/dev/null
cat >"$work/terraformrc" <<-EOF
	provider_installation {
	  filesystem_mirror { path = "$work/mirror" }
	}
EOF
export TF_CLI_CONFIG_FILE=$work/terraformrc CHECKPOINT_DISABLE=1
[[ -t 1 ]] || export TF_CLI_ARGS=-no-color

# In a copy, so that nothing of the provider's build is left in the checkout.
cd "$work"
mkdir examples
cp -R "$root/clients.tf" "$root/clients" .
cp -R "$root/examples/client-stack" examples/
for dir in . examples/client-stack; do
	"$terraform" -chdir="$dir" init -backend=false -input=false >init.log || { cat init.log; exit 1; }
	"$terraform" -chdir="$dir" validate
done
"$terraform" -chdir=examples/client-stack test

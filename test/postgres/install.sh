#!/usr/bin/env bash
# Installs PostgreSQL with apt-get where the machine has none, for the servers that tests and the demo start. The package's own
# server is neither made nor started.
set -euo pipefail
cd "$(dirname "$0")"

if command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "PostgreSQL is missing, and there is no apt-get to install it with: put initdb and its sister programs on the PATH" >&2
	exit 1
fi
settings=/etc/postgresql-common/createcluster.conf
if [[ ! -e $settings ]]; then
	mkdir -p "$(dirname "$settings")"
	echo 'create_main_cluster = false' >"$settings"
fi
./apt-install.sh postgresql

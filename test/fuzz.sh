#!/usr/bin/env bash
# Runs every fuzz target for a moment, as a smoke test. Go keeps an input that fails below testdata/fuzz of its package: commit it with
# the fix. FUZZTIME is the time for each target (default: 2s). Arguments are the directories of packages; without any, all run.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${FUZZTIME:-2s}
if (($# == 0)); then
	mapfile -t found < <(git grep -lE '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' | xargs -n 1 dirname | sort -u)
	set -- "${found[@]}"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cache=$(go env GOCACHE)/fuzz
failed=0 count=0
for package in "$@"; do
	# -fuzz makes go test build the program that gets the coverage of the code.
	go test -c -fuzz . -o "$work/program" "./$package"
	[[ -x $work/program ]] || continue # has no tests
	while read -r target; do
		count=$((count + 1))
		if (cd "$package" && "$work/program" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$fuzztime" -test.parallel 2 \
			-test.fuzzcachedir "$cache/$package/$target") >"$work/log" 2>&1; then
			printf '%s %s: %s\n' "$package" "$target" "$(grep -o 'execs: [0-9]*' "$work/log" | tail -1)"
		else
			cat "$work/log"
			failed=1
		fi
	done < <("$work/program" -test.list '^Fuzz')
	rm "$work/program"
done
if ((count == 0)); then
	echo "no fuzz target found" >&2
	exit 1
fi
exit "$failed"

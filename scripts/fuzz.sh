#!/usr/bin/env bash
# fuzz.sh TIME: runs every fuzz target of the module for TIME (30s, 10m).
# go test fuzzes one target at a time, so this is the loop around it.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: fuzz.sh TIME, for example 30s}

targets=0
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "──── $package $target, $time"
		go test -run '^$' -fuzz "^$target\$" -fuzzminimizetime 50x -fuzztime "$time" "$package"
		targets=$((targets + 1))
	done
done
((targets)) || { echo 'found no fuzz target' >&2; exit 1; }
echo "fuzzed $targets targets for $time each"

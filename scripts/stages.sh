#!/usr/bin/env bash
# stages.sh TARGET…: makes the targets one after another and stops at the first
# that fails. Says in the end how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."

total=$# passed=0 failed=0 table=

summary() {
	printf '\n%s' "$table"
	printf '%-18s %5d s\n\n' total "$SECONDS"
	# Alone on the last line, in the words that test runners are read by.
	printf 'stages: %d passed, %d failed\n' "$passed" "$failed"
}

for target; do
	started=$SECONDS
	printf '\n──── %d/%d %s ────\n' "$((passed + 1))" "$total" "$target"
	if "${MAKE:-make}" --no-print-directory "$target"; then
		passed=$((passed + 1))
		table+=$(printf '%-18s %5d s' "$target" "$((SECONDS - started))")$'\n'
	else
		failed=1
		table+=$(printf '%-18s %5d s  failed' "$target" "$((SECONDS - started))")$'\n'
		summary
		echo "Stopped at ${target}; to run it alone: make $target" >&2
		exit 1
	fi
done
summary

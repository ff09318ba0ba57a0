#!/usr/bin/env bash
# Lints every Go module of the tree, and checks that what each says it needs is
# what it needs (go.mod) and what it got (go.sum).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

[[ -x .tools/bin/golangci-lint ]] || echo 'building golangci-lint, this once: about a minute and a half'
go -C tools build -o ../.tools/bin/ tool

# The modules of the tree: the server, and those kept apart to keep it small.
modules=$(find . \( -name .git -o -name .tools -o -name bin -o -name node_modules \) -prune -o -name go.mod -print |
	sed 's|/go.mod$||' | sort)

tidy() {
	local diff
	diff=$(go mod tidy -diff 2>"$root/.tools/tidy.log") && return
	if [[ -n $diff ]]; then
		printf '%s\n%s/go.mod is out of date: run go mod tidy there\n' "$diff" "$1" >&2
	else
		cat "$root/.tools/tidy.log" >&2
		echo "$1/go.mod could not be checked: the first time it takes the network" >&2
	fi
	return 1
}

# One module's findings do not hide another's.
failed=0
for module in $modules; do
	echo "$module"
	cd "$root/$module"
	tidy "$module" || failed=1
	verdict=$(go mod verify 2>&1) || { echo "$verdict" >&2; failed=1; }
	# The linter's own module has no code.
	if [[ $module != ./tools ]]; then
		"$root/.tools/bin/golangci-lint" run --config "$root/.golangci.yml" --allow-parallel-runners ./... || failed=1
	fi
done
exit $failed

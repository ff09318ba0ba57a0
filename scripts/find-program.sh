#!/usr/bin/env bash
# find-program.sh chromium|redis-server
# Prints the path of a program that plays the role; exit status 1, and nothing
# printed, where there is none. CHROMIUM and REDIS_SERVER name one by hand.
set -euo pipefail

case ${1:-} in
chromium)
	named=${CHROMIUM:-}
	candidates=(chromium chromium-browser google-chrome-stable google-chrome
		'/Applications/Chromium.app/Contents/MacOS/Chromium'
		'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome')
	;;
redis-server)
	named=${REDIS_SERVER:-}
	candidates=(redis-server valkey-server)
	;;
*)
	echo "usage: $0 chromium|redis-server" >&2
	exit 2
	;;
esac

# A name given by hand is meant: no falling back to another program.
[[ -n $named ]] && candidates=("$named")
for candidate in "${candidates[@]}"; do
	command -v "$candidate" && exit
done
exit 1

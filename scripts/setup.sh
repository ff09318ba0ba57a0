#!/usr/bin/env bash
# Brings what the tests need: Debian packages and the foreign WebSocket clients.
# Run it as often as you like: with everything in place it takes about a second
# and asks the network nothing. What is missing is told all at once.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .tools

complaints=() # what is missing, each with what to do about it
packages=()   # what apt-get can bring

give_up() {
	printf 'missing: %s\n' "${complaints[@]}" >&2
	exit 1
}

# want COMMAND WHY: the machine must bring it.
want() {
	command -v "$1" >/dev/null || complaints+=("$1: $2")
}

# need PACKAGE VARIABLE WHY: a program that Debian's PACKAGE brings; VARIABLE
# names another copy of it (scripts/find-program.sh).
need() {
	local package=$1 variable=$2 why=$3
	if scripts/find-program.sh "$package" >/dev/null; then
		return
	elif [[ -n ${!variable:-} ]]; then
		complaints+=("$variable=${!variable}: no such program; $why")
		give_up
	fi
	packages+=("$package")
	complaints+=("$package: $why; install it (Debian, Ubuntu: apt-get install $package) or set $variable=/path/to/it")
}

want go 'everything is built with Go 1.26 or later: https://go.dev/dl/'
want node 'the interoperation tests run a client on Node.js 18 or later: https://nodejs.org/'
want npm 'it installs that client, and comes with Node.js'
want python3 'the interoperation tests run a client on Python 3.11 or later: https://www.python.org/'
want "${CC:-cc}" 'the race detector links with a C compiler (Debian, Ubuntu: apt-get install gcc libc6-dev)'
((${#complaints[@]})) && give_up

node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' ||
	complaints+=("node is $(node --version), the tests need v18 or later: https://nodejs.org/")
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
	complaints+=("python3 is $(python3 --version), the tests need 3.11 or later: https://www.python.org/")
((${#complaints[@]})) && give_up

# A package is one line.
need chromium     CHROMIUM     'the console is tested in a headless browser'
need redis-server REDIS_SERVER 'the Redis broker is tested against a real server'
python3 -c 'import ensurepip' 2>/dev/null || { # Debian splits it from Python
	packages+=(python3-venv)
	complaints+=('python3-venv: Python cannot make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)')
}

if ((${#packages[@]})); then
	if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
		echo 'Run as root on Debian or Ubuntu, this installs packages by itself. Here it cannot.' >&2
		give_up
	fi
	echo "installing ${packages[*]}"
	# RUNLEVEL=1 keeps a freshly installed server from being started; the tests
	# start their own, on ports of their own.
	install() {
		DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
			apt-get install -qq -y --no-install-recommends "${packages[@]}"
	}
	# The update comes second: most machines know the packages already.
	{ install || { apt-get update -qq && install; }; } >.tools/apt.log 2>&1 || {
		cat .tools/apt.log >&2
		complaints=("${packages[*]}: apt-get could not install it, its own words are above")
		give_up
	}
fi

# unless_done NAME KEY COMMAND…: runs COMMAND unless it succeeded before with
# the same KEY.
unless_done() {
	local mark=.tools/$1.done key=$2
	[[ -f $mark && $(<"$mark") == "$key" ]] && return
	rm -f "$mark"
	"${@:3}"
	echo "$key" >"$mark"
}

install_ws() {
	echo 'installing the ws client (npm)'
	(cd test/interop && npm ci --ignore-scripts --loglevel=error)
}

install_jsclient() {
	echo 'installing what the tests of fairlead.js need (npm)'
	(cd test/jsclient && npm ci --ignore-scripts --loglevel=error)
}

install_websockets() {
	echo 'installing the websockets client (pip)'
	python3 -m venv --clear .tools/venv
	.tools/venv/bin/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --no-deps -r test/interop/requirements.txt
}

# Both are lost with their folder, and the second with its interpreter.
[[ -d test/interop/node_modules/ws ]] || rm -f .tools/ws.done
[[ -d test/jsclient/node_modules/terser ]] || rm -f .tools/jsclient.done
[[ -x .tools/venv/bin/python ]] || rm -f .tools/websockets.done
unless_done ws "$(cksum <test/interop/package-lock.json)" install_ws
unless_done jsclient "$(cksum <test/jsclient/package-lock.json)" install_jsclient
unless_done websockets "$(cksum <test/interop/requirements.txt) $(python3 -c 'import sys; print(sys.base_prefix, sys.version)')" install_websockets

#!/usr/bin/env bash
# two-tasks.sh: a broker and two tasks that share its channels, on this machine, until Ctrl-C. A deployment in small, to try things
# on: kill a task or the broker, and see what becomes of the clients.
#
#   PORT=8080          the first task's port; the second has the next one
#   BROKER_PORT=6390   the broker's, away from 6379, where one of yours may be
#   PUBLISH_KEY=…      the key of the publish API; without one, a key for trying things
set -euo pipefail
set -m # a process group each, so that Ctrl-C reaches this script alone, which ends the tasks before the broker
cd "$(dirname "$0")/.."
port=${PORT:-8080}
broker_port=${BROKER_PORT:-6390}
key=${PUBLISH_KEY:-not-a-secret-just-a-key}

# taken PORT: somebody listens there.
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

redis=$(scripts/find-program.sh redis-server) || {
	echo 'redis-server was not found: `make setup` installs it on Debian and Ubuntu; REDIS_SERVER=/path/to/it names another' >&2
	exit 1
}
[[ -x bin/fairlead ]] || { echo 'bin/fairlead is not there: `make build` makes it' >&2; exit 1; }
for p in "$broker_port" "$port" $((port + 1)); do
	taken "$p" && { echo "port $p is taken: choose others, as in PORT=9000 BROKER_PORT=9010 $0" >&2; exit 1; }
done

data=$(mktemp -d)
broker=
tasks=()
finish() {
	trap '' INT TERM
	for group in "${tasks[*]}" "$broker"; do # who was killed already is no reason not to wait for the others
		[[ -n $group ]] && { kill $group; wait $group; } 2>/dev/null || true
	done
	rm -rf "$data"
}
trap finish EXIT
trap 'exit 0' INT TERM

# Everything it takes is on disk before it says so, so that not even kill -9 loses a message.
"$redis" --port "$broker_port" --bind 127.0.0.1 --dir "$data" --save '' --appendonly yes --appendfsync always >"$data/log" &
broker=$!
until taken "$broker_port"; do
	kill -0 "$broker" 2>/dev/null || { cat "$data/log" >&2; exit 1; }
	sleep 0.05
done

for p in "$port" $((port + 1)); do
	FAIRLEAD_PUBLISH_KEY=$key bin/fairlead serve --listen "127.0.0.1:$p" --admin-listen '' --task-id "task-$p" \
		--broker "valkey://127.0.0.1:$broker_port" --drain 2s --log-level warn &
	tasks+=($!)
	until taken "$p"; do
		kill -0 "$!" 2>/dev/null || exit 1 # it has said why
		sleep 0.05
	done
done

cat <<END
broker    valkey://127.0.0.1:$broker_port       process $broker
task one  http://localhost:$port           process ${tasks[0]}
task two  http://localhost:$((port + 1))           process ${tasks[1]}

Open both pages and send a message from one. Or publish as a backend:

  curl -d '"hello"' -H 'Content-Type: application/json' -H 'Authorization: Bearer $key' http://localhost:$port/channels/lobby/messages

Ctrl-C ends all three.
END
wait || true # one of them may be killed: that is what this is for

# SPDX-License-Identifier: MIT
# Sourced by the scripts here: a folder of their own, a target that waits for "go".
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; [ -z "${target-}" ] || kill -9 "$target" 2> /dev/null' EXIT
trace=$tmp/trace

# start THREADS ROUND: $target; `round` makes it run one
start()
{
	mkfifo "$tmp/in" "$tmp/out"
	"$triggers/calls" "$@" < "$tmp/in" > "$tmp/out" &
	target=$!
	exec 8> "$tmp/in" 9< "$tmp/out"
	read -r _ <&9
}

round()
{
	echo go >&8
	read -r _ <&9
}

# Waits until the recording $trace has begun.
begun()
{
	while [ ! -e "$trace/dyntrace/ready" ]; do
		sleep 0.02
	done
}

# How many events of each probe.
counts() { awk '$5 ~ /^[a-z]+:/ { print $5 }' | sort | uniq -c | sed 's/^ *//'; }

# As many events as others count, and nothing that they complain about.
babel()
{
	if ! command -v babeltrace2 > /dev/null; then
		echo "SKIP: no babeltrace2"
		exit 0
	fi
	babeltrace2 "$1" 2>&1 > "$tmp/babel" | sed 's/^/babeltrace2 says: /' | cut -c1-200
	wc -l < "$tmp/babel"
}

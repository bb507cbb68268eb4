# A process becomes another program while probes of the kernel are loaded: they go, and come again with that program's.
# What BEGIN did is not done again: later it is told.
. ./need.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
for i in 1 2 3 4 5 6 7 8; do
	sh -c "sleep 0.$((i % 8 + 1))2; exec sleep 20" &
	pid=$!
	$dyntrace -q -p $pid -n "pid$pid:libc*:*nanosleep:entry { } syscall::clock_nanosleep:entry /pid == $pid/ { }
		BEGIN { n++; } tick-100ms { printf(\"begun %d\n\", n); exit(0); }" 2> err ||
		sed 's/.*pid [0-9]* runs another program now; it is no longer traced/begun 1/' err
	kill -9 $pid
	wait $pid 2>/dev/null
done | sort -u

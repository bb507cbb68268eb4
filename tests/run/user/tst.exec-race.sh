# A process that becomes another program while the tool is getting into it is traced as that, wherever its loader is.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
for i in 1 2 3 4 5 6 7 8 9 10; do
	sh -c "sleep 0.0$((i % 6 + 1)); exec sleep 20" &
	pid=$!
	$dyntrace -q -p $pid -n "pid$pid:libc*:*nanosleep:entry { } BEGIN { exit(0); }" 2> err && echo fine || cat err
	kill -9 $pid
	wait $pid 2>/dev/null
done | sort | uniq -c

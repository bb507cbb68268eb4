# A process that becomes another program while the tool is getting into it is traced as that.
for i in 1 2 3 4 5 6 7 8 9 10; do
	sh -c "sleep 0.0$((i % 6 + 1)); exec sleep 20" &
	pid=$!
	$dyntrace -q -p $pid -n "pid$pid:libc*:*nanosleep:entry { } BEGIN { exit(0); }" && echo fine
	kill -9 $pid
	wait $pid 2>/dev/null
done | sort | uniq -c

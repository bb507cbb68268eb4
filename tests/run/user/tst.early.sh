# A process that is taken while its loader works has the probes of libraries that are not there yet.  How far it is
# nobody knows: each of many goes must be fine.  (One that is still the shell when it is taken does not count.)
i=0
while [ $i -lt 12 ]; do
	sleep 20 &
	pid=$!
	out=$($dyntrace -q -p $pid -n "pid$pid:libc*:*nanosleep:entry { } tick-100ms { exit(0); }" 2>&1 && echo fine)
	kill -9 $pid
	wait $pid 2> /dev/null
	case $out in *runs\ another\ program\ now*) continue ;; esac
	echo "$out"
	i=$((i + 1))
done | sort | uniq -c

# Processes that are not as others are live on.
for mode in fork filter lock share; do
	$triggers/odd $mode >said.$$ &
	pid=$!
	sleep 0.3 # until it is what it wants to be
	$dyntrace -q -n 'pid$target:odd:work:entry { n++; @n[copyinstr(arg0)] = count(); }
		tick-500ms { printf("%s: %s\n", $$1, n > 0 ? "hits" : "none"); exit(0); } END { trunc(@n); }' -p $pid $mode 2>err.$$
	sed -n "s/process $pid/process PID/g; s/pid $pid/pid PID/g; /block/p" err.$$
	wait $pid
	cat said.$$
done
rm -f err.$$ said.$$

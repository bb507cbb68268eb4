# How targets end, and probes that cannot be placed: said, with the status.
traced() {
	$dyntrace -q "$@" >/dev/null 2>err.$$
	status=$?
	sed 's/pid [0-9]*/pid N/; s/pid[0-9]*:[^ ]* at [^ ]*/PROBE/' err.$$
	echo "status $status"
	rm err.$$
}
traced -n 'pid$target:libc.so*:puts:entry { }' -c "$triggers/answers"
$triggers/answers 2000000000 >/dev/null &
pid=$!
sleep 0.3 # until it runs its own program
(sleep 0.5; kill $pid) &
traced -n 'pid$target:a.out:square:entry { n++; }' -p $pid
traced -n 'pid$target:libc.so*:abort:return { }' -c "$triggers/answers"

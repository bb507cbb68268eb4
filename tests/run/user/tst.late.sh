# A library that is not there when the program starts, and one that never comes.
$dyntrace -q -n 'pid$target:libc.so*:puts:entry { @[probefunc] = count(); }' -c "$triggers/answers" | tail -1
$dyntrace -q -n 'pid$target:libnone.so:puts:entry { @[probefunc] = count(); }' -c "$triggers/answers" 2>&1 >/dev/null |
	sed 's/pid[0-9][0-9]*/pidN/; s/process [0-9]*/process N/'

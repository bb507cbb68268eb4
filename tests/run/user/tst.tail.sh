# A function that leaves by a tail call has returned, but its value is not there yet.
$dyntrace -q -c "$triggers/vforks 0" -n '
	pid$target:a.out:who:return, pid$target:a.out:hand_on:return { printf("%s\n", probefunc); }
	pid$target:a.out:who:return { printf("%s: %d\n", probefunc, arg1); }
	pid$target:a.out:hand_on:return { printf("%s: %d\n", probefunc, arg1); }
	ERROR { printf("fault %d\n", arg4 == DTRACEFLT_NORETVAL); }' 2> err.$$
sed 's/pid[0-9]*/pidN/; s/ID [0-9]*/ID N/' err.$$
rm err.$$

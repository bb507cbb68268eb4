# A bad address in the target: reported, and ERROR fires.
$dyntrace -q -n 'pid$target:a.out:square:entry /arg0 == 1/ { trace(copyinstr(arg0)); }
ERROR { printf("fault %d at %d\n", (int)arg4, (int)arg5); }' -c "$triggers/answers" 2>&1 |
	sed 's/probe ID [0-9]*/probe ID N/; s/pid[0-9]*:/pidN:/'

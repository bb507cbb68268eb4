# A fault is shown in its line of the script, once for each statement.
unset _DTRACE_TESTING
$dyntrace -q -n 'BEGIN { x = 0; trace(1); }
	tick-1ms { n++; trace(10 / x); }
	tick-1ms
	/n > 3 && strlen(copyinstr(16)) > 3/
	{ trace(1); }
	tick-1ms /n > 6/ { exit(0); }' 2>&1 >/dev/null | grep '|'

# What is counted after clear() and trunc() counts from nothing, in the processes too.
for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.1; done | $dyntrace -q -o /dev/stderr -c cat -n '
	pid$target:libc.so.6:write:entry { @n = sum(arg2); @t["", 1] = sum(arg2); }
	tick-230ms { printa("n %@d\n", @n); printa("t%s %d %@d\n", @t); clear(@n); trunc(@t); }
	END { printa("n %@d\n", @n); printa("t%s %d %@d\n", @t); }' 2>&1 >/dev/null |
	awk '/^n/ { n += $2; if ($2) parts++ } /^t/ { t += $3 } END { print n, t, (parts > 1 ? "in parts" : "at once") }'

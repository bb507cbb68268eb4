# Values of -x, and what bad ones get.
for o in bufsize=4m bufsize=x bufsize switchrate=10hz switchrate=1parsec quiet=off nonsense strsize=1 aggsortpos=-1; do
	$dyntrace -x $o -n 'BEGIN { exit(0); }' >/dev/null 2>&1
	echo "$o: $?"
done
$dyntrace -x nonsense -n BEGIN
$dyntrace -x bufsize=lots -n BEGIN
$dyntrace -q -n '
#pragma D option strsize=12k
BEGIN { printf("%s\n", "ok"); exit(0); }'
DTRACE_OPT_QUIET=1 $dyntrace -n 'BEGIN { printf("by environment\n"); exit(0); }'

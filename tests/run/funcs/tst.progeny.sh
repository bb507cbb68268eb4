# The tool descends from this shell, what it starts from both; nothing descends from a process that is none.
$dyntrace -q -n 'BEGIN { printf("%d %d %d %d\n", progenyof($1), progenyof(1), progenyof($pid), progenyof(999999999)); exit(0); }' $$
$dyntrace -q -n 'pid$target:a.out:main:entry { printf("%d %d %d %d\n", progenyof(pid), progenyof($pid), progenyof($1), progenyof(999999999)); }' \
	-c "$triggers/answers" $$

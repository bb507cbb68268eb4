# A probe's name alone says which process is meant; tracing does not end with it.
$triggers/answers 2000000000 >/dev/null &
pid=$!
sleep 0.3 # until it runs its own program
$dyntrace -q -n 'pid$1:a.out:square:entry { n++; } tick-300ms { printf("%s\n", n > 0 ? "hits" : "none"); exit(0); }' $pid
kill $pid
$dyntrace -x errtags -n 'pid999999999:::entry' 2>&1 | grep -o 'D_PROC_BADPID.*'

# A process that runs already lives on after it was traced.
$triggers/answers 2000000000 >/dev/null &
pid=$!
sleep 0.3 # until it runs its own program
$dyntrace -q -n 'pid$target:a.out:square:entry { n++; } tick-300ms { printf("%s\n", n > 0 ? "hits" : "none"); exit(0); }' -p $pid
kill -0 $pid && echo alive
kill $pid

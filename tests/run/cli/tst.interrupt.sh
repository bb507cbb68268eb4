# A signal ends tracing as exit() does.  (A shell's background commands ignore SIGINT.)
$dyntrace -q -n 'BEGIN { printf("began\n"); } END { printf("ended\n"); } tick-10ms { @ = max(1); }' &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
echo $?

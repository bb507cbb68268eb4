# SIGINT ends tracing as exit() does.
$dyntrace -q -n 'BEGIN { printf("began\n"); } END { printf("ended\n"); } tick-10ms { @ = max(1); }' &
pid=$!
sleep 0.5
kill -INT $pid
wait $pid
echo $?

# A signal ends tracing as exit() does.  (A shell's background commands ignore SIGINT.)
$dyntrace -q -n 'BEGIN { printf("began\n"); } END { printf("ended\n"); } tick-10ms { @ = max(1); }' &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
echo $?
# Once more before the end: what was gathered is given up, not in silence.
unset _DTRACE_TESTING
dir=$(mktemp -d)
mkfifo $dir/out
$dyntrace -q -n 'BEGIN { printf("began\n"); } END { printf("ended\n"); } tick-10ms { @ = max(1); }' >$dir/out 2>$dir/err &
pid=$!
exec 3<$dir/out
read began <&3
kill -STOP $pid
kill -TERM $pid
kill -HUP $pid
kill -CONT $pid
wait $pid
echo $? $began
cat <&3
cat $dir/err
rm -r $dir
# timeout(1) sends its signal to a process and to its group at once: that is no second time. (A machine may stand still in between.)
for i in 1 2 3 4 5; do
	out=$($dyntrace -wq -n 'BEGIN { raise(2); } END { printf("ended\n"); raise(2); }' 2>&1)
	case $out in *again*) ;; *) echo "once: $out"; break ;; esac
done
# A key that is held down repeats within the time of such an echo: in the end it is a second time all the same.
dir=$(mktemp -d)
mkfifo $dir/out
$dyntrace -qw -n 'BEGIN { printf("began\n"); system("sleep 2"); }' >$dir/out 2>$dir/err &
pid=$!
exec 3<$dir/out
read began <&3
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
	kill -TERM $pid
	sleep 0.03
done 2>/dev/null
wait $pid
echo $? $began
cat $dir/err
rm -r $dir

# Numbers behind -p PID, as from pidof(1): how several processes are given.  Other numbers are arguments as ever.
unset _DTRACE_TESTING
sleep 100 & a=$!
sleep 100 & b=$!
trap 'kill $a $b' EXIT
for how in "-qn BEGIN" "explain -n BEGIN" syscalls "record read"; do
	$dyntrace $how -p $a $b 2>&1 | sed "s/\<$a\>/A/g; s/\<$b\>/B/g"
done
$dyntrace -qn 'BEGIN { printf("%d\n", $1 == '$b'); exit(0); }' -p $a $b
$dyntrace -qn 'BEGIN { exit(0); }' -p $a 999999999 2>&1 | sed "s/\<$a\>/A/g"

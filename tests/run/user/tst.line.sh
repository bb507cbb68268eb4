# The line of a record, and its module.
$dyntrace -n 'pid$target:answers:square:entry /arg0 == 3/ { trace(arg0); trace(probemod); }' -c "$triggers/answers"
echo $?

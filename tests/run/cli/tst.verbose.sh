# -v: stability; -l and -e of single probes.
$dyntrace -v -n 'BEGIN { trace(1); exit(0); }' -n 'profile:::tick-1s { @ = sum(getmajor(0)); }'
$dyntrace -ev -n 'dtrace:::END'
$dyntrace -lv -n 'tick-7s'
$dyntrace -x amin=Standard -n 'BEGIN { trace(timestamp); }'
echo $?

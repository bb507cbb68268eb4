# Several descriptions share variables; each says what it matched.
$dyntrace -n 'BEGIN { x = 5; }' -n 'BEGIN, END { trace(x); }' -n 'BEGIN { exit(0); }' 2>&1

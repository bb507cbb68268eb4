# -o appends.
f=$(mktemp)
$dyntrace -q -o $f -n 'BEGIN { printf("one\n"); exit(0); }'
$dyntrace -q -o $f -n 'BEGIN { printf("two\n"); exit(0); }'
cat $f
rm -f $f
$dyntrace -o /nonexistent/file -n 'BEGIN { exit(0); }' 2>&1
echo $?

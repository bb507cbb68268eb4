# A script from a pipe, and one that is executable by itself.
echo 'BEGIN { printf("piped"); exit(3); }' | $dyntrace -q -s /dev/stdin
echo "$?"
$dyntrace -q -s /nonexistent.d
echo "$?"

# Every system call of something busy, through rings that are too small: the tool's memory is bounded, and of what was
# lost each single record is counted.
. ./need.sh
dir=$(mktemp -d)
while :; do dd if=/dev/zero of=/dev/null bs=1 count=20000 2>/dev/null; done &
load=$!
trap 'kill $load; rm -rf "$dir"' EXIT
# A sanitizer reserves terabytes.
(grep -q __asan_init "$dyntrace" || ulimit -v 1000000
exec "$dyntrace" -b 16k -qn 'syscall:::entry /execname == "dd"/ { @n = count(); }
syscall:::entry /execname == "dd"/ { printf("seen\n"); }
tick-1s { exit(0); } END { printa("all %@d\n", @n); }' >"$dir/out" 2>"$dir/err")
awk '$1 == "seen" { n++ }
$1 == "all" { all = $2 }
/ drops? on CPU/ { n += $2 }
END { if (n == all) print "all told"; else print n, "of", all; print (all > 1000) }' "$dir/err" "$dir/out"

# Messages say what is wrong and what to do, once; wrong usage is status 2.
unset _DTRACE_TESTING
pid=none
say() { echo "== $*" | sed "s/\b$pid\b/PID/g; s/[0-9]\{4,\}/N/g"; "$dyntrace" "$@" 2>&1 | sed "s/ *$//; s/\b$pid\b/PID/g; s/[0-9]\{4,\}/N/g; s/\(they begin at \).*/\1.../; s/; loaded are.*/; .../; s/0x[0-9a-f]* bytes/N bytes/" | head -2; }
status() { "$dyntrace" "$@" >/dev/null 2>&1; echo "$1 $2: $?"; }
status syscall
status nosuchverb x
status rm nosuch
status rm nosuch:tp-0
status add nosuch count
status add nosuch:foo count
status add nosuch:foo -y count
status -p xyz9999999
status -x nosuch=1
status -p 999999999 -n BEGIN
say -n BEGIN -p 999999999
say record -p 999999999 x
say add syscall::read:entry count
dir=$(mktemp -d)
mkfifo $dir/in $dir/out
sh -c 'echo ready; read x' <$dir/in >$dir/out &
pid=$!
exec 3>$dir/in 4<$dir/out
read ready <&4
say add $pid:malloc+1000000 count
say add $pid:libc.so.6:read+1 count
say add $pid:nosuch*:read count
say add $pid:syscall::read:entry count
say detach $pid
echo >&3
wait
rm -r $dir

# Whose tracepoints a process has is said to who may not see them; what cannot be traced is listed with the reason.
unset _DTRACE_TESTING XDG_RUNTIME_DIR
strace -o /dev/null true 2>/dev/null || { echo "SKIP: needs strace"; exit 0; }
[ $(id -u) = 0 ] || { echo "SKIP: needs root"; exit 0; }
umask 022
dir=$(mktemp -d)
trap 'rm -r $dir' EXIT
cp "$dyntrace" "$(dirname "$dyntrace")"/libdyntrace-agent.so $dir && chmod 755 $dir
setpriv --reuid=65534 --regid=65534 --clear-groups test -x $dir/dyntrace || { echo "SKIP: user 65534 may run nothing in $dir: set TMPDIR"; exit 0; }
mkdir $dir/run && chown 65534:65534 $dir/run && chmod 700 $dir/run
mkfifo $dir/in $dir/out
setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'echo ready; read x' <$dir/in >$dir/out &
pid=$!
exec 3>$dir/in 4<$dir/out
read ready <&4
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_RUNTIME_DIR=$dir/run $dir/dyntrace "$@"; }
plain() { sed "s/^ *[0-9]\{1,\} - /N - /; s/process [0-9]*/process N/g; s/ \"dyntrace-keeper.*\"//"; } # numbers of any width
nobody attach $pid 2>&1
$dir/dyntrace list-tracepoints $pid 2>&1 | plain
nobody detach $pid 2>&1
$dir/dyntrace attach $pid 2>&1
nobody detach $pid 2>&1 | plain
$dir/dyntrace detach $pid
nobody list-tracepoints $$ 2>&1 | plain
echo >&3
wait
# What another tracer has.
strace -o /dev/null sh -c 'echo $$; read x' <$dir/in >$dir/out &
exec 3>$dir/in 4<$dir/out
read traced <&4
$dir/dyntrace list-processes -a | grep "^ *$traced " | plain
echo >&3
wait

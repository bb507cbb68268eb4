# System calls of one process: arguments, results, errno, order.
. ./need.sh
$dyntrace -qn '
syscall::write:entry /pid == $target/ { printf("%s %s %d\n", execname, probefunc, arg2); }
syscall::write:return /pid == $target/ { printf("%d %d %d\n", arg0, arg1, errno); }
' -c "$triggers/answers"
$dyntrace -qn 'syscall::openat:return /pid == $target && errno == ENOENT/ { missing++; } END { printf("%d\n", missing > 0); }' \
	-c 'cat /nonexistent' 2>/dev/null

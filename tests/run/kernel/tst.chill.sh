# chill() in probes of the kernel: it holds up the caller, half of each second of a processor at most.
. ./need.sh
$dyntrace -wqn '
syscall::write:entry /pid == $target/ { self->t = timestamp; chill(20000000); }
syscall::write:return /self->t/ { printf("%s\n", timestamp - self->t >= 20000000 ? "late" : "early"); self->t = 0; }
syscall::exit_group:entry /pid == $target/ { chill(15); printf("done\n"); }
' -c "$triggers/answers"
$dyntrace -wqn 'syscall::write:entry /pid == $target && !n++/ { chill(600000000); printf("never\n"); }
ERROR { printf("fault %d at %d\n", (int)arg4, (int)arg5); }' -c "$triggers/answers" 2>/dev/null
$dyntrace -wqn 'syscall::write:entry /pid == $target && !n++/ { chill(-1); }
ERROR { printf("fault %d at %d\n", (int)arg4, (int)arg5); }' -c "$triggers/answers" 2>/dev/null
# Each is allowed, both are too much: the clause leaves nothing.
$dyntrace -wqn 'syscall::write:entry /pid == $target && !n++/ { chill(2000000); chill(499000000); printf("never\n"); }
ERROR { printf("fault %d at %d\n", (int)arg4, (int)arg5); }' -c "$triggers/answers" 2>/dev/null
$dyntrace -qn 'syscall::write:entry { chill(1); }' 2>&1; echo $?

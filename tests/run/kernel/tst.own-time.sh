# A time that is shown is that of the record: equal to what was kept of the same firing.
$dyntrace -q -n '
syscall::getppid:entry /pid == $target/ { self->t = timestamp; printf("%d %d\n", self->t, timestamp); exit(0); }
' -c "$triggers/deep" 2>&1 | awk '/^[0-9]/ { print $1 == $2 }'

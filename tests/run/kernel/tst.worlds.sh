# One script, both worlds: order, one variable, one array, one aggregation; self-> variables.
. ./need.sh
$dyntrace -qn '
pid$target:a.out:square:entry { calls++; seen[arg0] = timestamp; @[probename] = count(); }
syscall::write:entry /pid == $target/ { printf("%d %d\n", calls, seen[2] != 0 && timestamp > seen[2]); @[probename] = count(); }' \
	-c "$triggers/answers"
$dyntrace -qn '
pid$target:a.out:square:entry { self->x = arg0; }
syscall::write:entry /self->x/ { printf("%d\n", self->x); self->x = 0; }' -c "$triggers/answers"
# What is asked to be a uprobe says so; beside probes of the kernel it is a jump all the same.
script='pid$target:a.out:square:entry { self->x = arg0; } syscall::write:entry /self->x/ { }'
for backend in uprobe jump; do
	$dyntrace explain -x backend=$backend -n "$script" -c "$triggers/answers" | sed 's/pid[0-9]*/pid/' | grep -o 'a uprobe of the kernel\|a 5-byte jump\|BPF program at the raw tracepoint sys_enter'
done

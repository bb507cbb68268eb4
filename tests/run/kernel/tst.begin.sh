# The tool's own probes read the kernel's memory, too: in BEGIN, ticks, END and ERROR; what there is not is a fault.
. ./need.sh
$dyntrace -qn '
BEGIN { printf("%s %d %d\n", curthread->comm, curthread->pid == tid, curthread->tgid == pid); task = curthread; }
BEGIN { trace(*(int *)0xffff800000000000); }
tick-20ms { printf("%d %s\n", curthread == task, stringof(curthread->real_parent->comm) != "" ? "a parent" : "none"); exit(0); }
ERROR { printf("fault %d at %s\n", (int)arg4, arg5 == 0xffff800000000000 ? "the address" : "another"); }
END { printf("%s\n", task->comm); }
syscall::getpid:entry { }' 2>/dev/null
# Its own view, and that of a clause in the kernel, of one thread.
$dyntrace -qn '
syscall::ioctl:entry /pid == $pid/ { }
syscall::clock_nanosleep:entry /pid == $target/ { task = curthread; }
syscall::clock_nanosleep:return /pid == $target/ { exit(0); }
END { printf("%s %d\n", ((struct task_struct *)task)->comm, ((struct task_struct *)task)->tgid == $target); }' -c 'sleep 0.01'

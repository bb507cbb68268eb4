# The life of processes.
. ./need.sh
$dyntrace -qn '
proc:::create /pid == $target/ { self->kid = args[0]->pr_pid; made = args[0]->pr_pid; }
proc:::start /ppid == $target/ { printf("start %d\n", pid == made); }
proc:::exec /ppid == $target/ { printf("exec %s\n", args[0]); }
proc:::exec-success /ppid == $target/ { printf("runs %s\n", execname); }
proc:::exit /ppid == $target/ { printf("exit %d %s\n", args[0], execname); }
proc:::signal-send /ppid == $target && args[2] == 9/ { printf("signal %d %d\n", args[2], args[1]->pr_pid == pid); }' \
	-c 'sh life.sh' 2>/dev/null

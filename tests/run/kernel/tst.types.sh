# Structures of the kernel, translators, the list of open files.
. ./need.sh
$dyntrace -qn '
syscall::write:entry /execname == "dd"/
{
	printf("%s %d %d\n", curthread->comm, curthread->tgid == pid, curthread->pid == tid);
	printf("%s %d %d\n", curpsinfo->pr_fname, curpsinfo->pr_pid == pid, curpsinfo->pr_ppid == ppid);
	printf("%d %d\n", curlwpsinfo->pr_lwpid == tid, curcpu->cpu_id == cpu);
	printf("%s\n", fds[arg0].fi_name);
	exit(0);
}' -c "dd if=need.sh of=file.tmp status=none"; rm -f file.tmp

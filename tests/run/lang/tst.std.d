/* Names that every script has, and structures that tell about the process, the thread and the processor. */
#pragma D option quiet

inline string shown = curpsinfo->pr_fname;

BEGIN
{
	printf("%d %d %d %d\n", EACCES, ENOENT, SIGKILL, SIGUSR1);
	printf("%d %d %d %d\n", curpsinfo->pr_pid == pid, curpsinfo->pr_ppid == ppid, curpsinfo->pr_uid == uid, curpsinfo->pr_gid == gid);
	printf("%d %d\n", shown == execname, strstr(curpsinfo->pr_psargs, ".d") != NULL);
	printf("%d %d %d\n", curlwpsinfo->pr_lwpid == tid, curlwpsinfo->pr_addr == curthread, curcpu->cpu_id - cpu);
	printf("%d %d %d\n", curpsinfo->pr_dmodel == PR_MODEL_LP64, sizeof (psinfo_t) > 200, curpsinfo->pr_nlwp);
	@[curpsinfo->pr_fname == execname, EPERM] = count();
	ENTRIES = 5; /* not taken */
	printf("%d\n", ENTRIES);
	exit(0);
}

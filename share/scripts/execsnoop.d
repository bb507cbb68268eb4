/* SPDX-License-Identifier: MIT */
/* Programs that are started, and attempts that fail. */

BEGIN
{
	printf("%7s %7s %6s %5s  %s\n", "PID", "PPID", "UID", "ERR", "COMMAND");
}

proc:::exec
/wanted[pid]/
{
	self->path = arg0;
}

proc:::exec-success
/wanted[pid]/
{
	printf("%7d %7d %6d %5d  %s\n", pid, ppid, uid, 0, curpsinfo->pr_psargs);
	self->path = 0;
}

proc:::exec-failure
/self->path/
{
	printf("%7d %7d %6d %5d  %s\n", pid, ppid, uid, errno, copyinstr(self->path));
	self->path = 0;
}

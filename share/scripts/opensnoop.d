/* SPDX-License-Identifier: MIT */
/* Files that are opened. */

BEGIN
{
	printf("%7s %-16s %4s %4s  %s\n", "PID", "COMM", "FD", "ERR", "PATH");
}

syscall::open:entry,
syscall::creat:entry
/wanted[pid]/
{
	self->path = arg0;
}

syscall::openat:entry,
syscall::openat2:entry
/wanted[pid]/
{
	self->path = arg1;
}

/* The name is in memory by now, whatever page it was on. */
syscall::open:return,
syscall::creat:return,
syscall::openat:return,
syscall::openat2:return
/self->path/
{
	printf("%7d %-16s %4d %4d  %s\n", pid, execname, errno ? -1 : (int)arg0, errno, copyinstr(self->path));
	self->path = 0;
}

/* SPDX-License-Identifier: MIT */
/* What /proc/PID/status and comm say (proc_pid_status(5)). */
#include "obj/obj_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void parse_line(const char *line, struct obj_proc_info *r)
{
	const char *val = strchr(line, ':');
	if (!val)
		return;
	val += 1 + strspn(val + 1, " \t");
	size_t key = strcspn(line, ":");
#define KEY(s) (key == sizeof(s) - 1 && !memcmp(line, s, key))
	if (KEY("State"))
		r->state = *val;
	else if (KEY("Tgid"))
		r->pid = r->leader = (pid_t)strtol(val, NULL, 10);
	else if (KEY("PPid"))
		r->ppid = (pid_t)strtol(val, NULL, 10);
	else if (KEY("TracerPid"))
		r->tracer = (pid_t)strtol(val, NULL, 10);
	else if (KEY("Uid"))
		r->uid = (uid_t)strtoul(val, NULL, 10);
	else if (KEY("Gid"))
		r->gid = (gid_t)strtoul(val, NULL, 10);
	else if (KEY("Threads"))
		r->threads = (uint32_t)strtoul(val, NULL, 10);
#undef KEY
}

static int read_comm(pid_t pid, char *buf, int cap)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/comm", pid);
	FILE *f = fopen(name, "re");
	if (!f)
		return -errno;
	size_t n = fread(buf, 1, (size_t)cap - 1, f);
	fclose(f);
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = 0;
	return 0;
}

int obj_proc_info(pid_t pid, struct obj_proc_info *ret, struct err *reterr)
{
	char name[64], *line = NULL;
	size_t cap = 0;
	struct obj_proc_info r = { .pid = pid };
	snprintf(name, sizeof(name), "/proc/%d/status", pid);
	FILE *f = fopen(name, "re");
	if (!f && errno != ENOENT && errno != ESRCH)
		return err_setf(reterr, -errno, "cannot look at process %d: %s", pid, strerror(errno));
	if (!f)
		return err_setf(reterr, -ESRCH, "there is no process %d", pid);
	while (getline(&line, &cap, f) > 0)
		parse_line(line, &r);
	free(line);
	fclose(f);
	int e = r.state ? read_comm(pid, r.comm, sizeof(r.comm)) : -ESRCH;
	if (e && e != -ENOENT && e != -ESRCH)
		return err_setf(reterr, e, "cannot look at process %d: %s", pid, strerror(-e));
	if (e)
		return err_setf(reterr, -ESRCH, "process %d has ended", pid);
	*ret = r;
	return 0;
}

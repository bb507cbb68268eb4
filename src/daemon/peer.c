/* SPDX-License-Identifier: MIT */
/* Who is there, and what he may. */
#include "daemon/daemon_int.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUPS_MAX 65536

int peer_of(int fd, struct peer *ret, struct err *reterr)
{
	struct ucred c;
	socklen_t len = sizeof(c);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len))
		return err_setf(reterr, -errno, "cannot tell who connects: %s", strerror(errno));
	*ret = (struct peer){ .pid = c.pid, .uid = c.uid, .gid = c.gid };
	const struct passwd *pw = getpwuid(c.uid);
	if (pw)
		snprintf(ret->name, sizeof(ret->name), "%s", pw->pw_name);
	else
		snprintf(ret->name, sizeof(ret->name), "uid %u", c.uid);
	return 0;
}

static bool has_group(const gid_t *v, size_t cnt, gid_t group)
{
	for (size_t i = 0; i < cnt; i++)
		if (v[i] == group)
			return true;
	return false;
}

/* Those that the process had when it connected. */
static bool process_is_in(int fd, gid_t group)
{
	gid_t *v = malloc(GROUPS_MAX * sizeof(*v));
	socklen_t len = GROUPS_MAX * sizeof(*v);
	bool found = v && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, v, &len) && has_group(v, len / sizeof(*v), group);
	free(v);
	return found;
}

static bool user_is_in(const struct peer *p, gid_t group)
{
	const struct passwd *pw = getpwuid(p->uid);
	int cnt = GROUPS_MAX;
	gid_t *v = pw ? malloc(GROUPS_MAX * sizeof(*v)) : NULL;
	bool found = v && getgrouplist(pw->pw_name, pw->pw_gid, v, &cnt) >= 0 && has_group(v, (size_t)cnt, group);
	free(v);
	return found;
}

bool peer_is_member(int fd, const struct peer *p, gid_t group)
{
	if (!p->uid)
		return true;
	return group != (gid_t)-1 && (p->gid == group || process_is_in(fd, group) || user_is_in(p, group));
}

/* Files below /proc/PID are root's where the program may not be looked into (prctl(2), PR_SET_DUMPABLE): it came from a
 * file that is set-uid, has capabilities, or cannot be read. */
bool peer_owner(pid_t pid, struct owner *ret)
{
	char path[64], line[256];
	struct stat st;
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	if (stat(path, &st))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "Uid: %u %u %u %u", &ret->uid[0], &ret->uid[1], &ret->uid[2], &ret->uid[3]) == 4;
	if (f)
		fclose(f);
	ret->mem = st.st_uid;
	return found;
}

int peer_may_trace(const struct peer *p, const struct conf *conf, pid_t pid, struct err *reterr)
{
	const struct owner his = { { p->uid, p->uid, p->uid, p->uid }, p->uid };
	struct owner o;
	if (!p->uid || !conf->own_only)
		return 0;
	if (!peer_owner(pid, &o))
		return err_setf(reterr, -ESRCH, "process %d does not exist", (int)pid);
	if (!memcmp(&o, &his, sizeof(o)))
		return 0;
	return err_setf(reterr, -EPERM, "not permitted to trace process %d: it is not all yours, and dyntraced.conf says processes = own",
			(int)pid);
}

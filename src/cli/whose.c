/* SPDX-License-Identifier: MIT */
/* Of processes that one cannot trace, or others do: why, and whose they are. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

const char *whose_user(uid_t uid, char buf[64])
{
	const struct passwd *pw = getpwuid(uid);
	if (pw)
		snprintf(buf, 64, "%s", pw->pw_name);
	else
		snprintf(buf, 64, "%u", (unsigned)uid);
	return buf;
}

bool whose_refused(pid_t pid, char *why, size_t cap)
{
	struct obj_proc_info info;
	struct err e;
	int r = session_may_enter(pid, &e);
	if (r == -EBUSY && !obj_proc_info(pid, &info, NULL) && info.tracer)
		snprintf(why, cap, "process %d traces it", (int)info.tracer);
	else if (r == -EPERM || r == -EACCES)
		snprintf(why, cap, "not permitted");
	else if (r == -ENOTSUP)
		snprintf(why, cap, "no x86-64 program");
	else if (r == -EINVAL)
		snprintf(why, cap, "no ELF program");
	else if (r && r != -ESRCH)
		snprintf(why, cap, "%s", e.msg);
	return r && r != -ESRCH;
}

/* Keepers are found by the user that has them. */
void whose_hint(pid_t pid)
{
	struct session_verdict v = { 0 };
	struct obj_proc_info info, owner;
	char user[64];
	bool known = !session_verify(pid, NULL, NULL, &v, NULL) && v.owner;
	procs_uncut(v.owner_command, sizeof(v.owner_command));
	procs_plain(v.owner_command);
	if (known && !obj_proc_info(v.owner, &owner, NULL) && owner.uid != geteuid()) {
		cli_hint("it is traced by process %d of user %s%s%s%s: run this as that user", (int)v.owner, whose_user(owner.uid, user),
			 *v.owner_command ? " \"" : "", v.owner_command, *v.owner_command ? "\"" : "");
	} else if (known) {
		cli_hint(*v.owner_command ? "it is traced by process %d \"%s\"" : "it is traced by process %d", (int)v.owner, v.owner_command);
	} else if (geteuid() && !obj_proc_info(pid, &info, NULL) && info.uid != geteuid()) {
		cli_hint("it belongs to user %s: what that user or root attached, they themselves can list and remove: run this as one of them",
			 whose_user(info.uid, user));
	}
}

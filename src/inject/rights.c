/* SPDX-License-Identifier: MIT */
/* Who may not trace a process: what would help. */
#include "inject/inject_int.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has(unsigned cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	return !syscall(SYS_capget, &head, data) && (data[cap / 32].effective >> cap % 32 & 1);
}

const char *inject_what_helps(bool yama)
{
	if (geteuid() && yama)
		return "kernel.yama.ptrace_scope forbids it; run as root, start the program with -c, or set it to 0";
	if (geteuid())
		return "it belongs to another user or is privileged; run as its user, or as root (CAP_SYS_PTRACE)";
	if (!has(CAP_SYS_PTRACE))
		return "root has no CAP_SYS_PTRACE here; give it to the container or the service that this runs in, or run outside of it";
	return yama ? "root has CAP_SYS_PTRACE, so kernel.yama.ptrace_scope=3 may forbid it, or a security module (SELinux, AppArmor)" :
	       "root has CAP_SYS_PTRACE, so a security module (SELinux, AppArmor) or a sandbox forbids it, or the process is outside of "
	       "this container";
}

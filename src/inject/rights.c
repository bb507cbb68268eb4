/* SPDX-License-Identifier: MIT */
/* Who may not trace a process: what would help. */
#include "inject/inject_int.h"

#include "base/caps.h"

#include <linux/capability.h>
#include <unistd.h>

const char *inject_what_helps(bool yama)
{
	if (geteuid() && yama)
		return "kernel.yama.ptrace_scope forbids it; run as root, start the program with -c, or set it to 0";
	if (geteuid())
		return "it belongs to another user or is privileged; run as its user, or as root (CAP_SYS_PTRACE)";
	if (!base_has_cap(CAP_SYS_PTRACE))
		return "root has no CAP_SYS_PTRACE here; give it " BASE_CAP_WHERE;
	return yama ? "root has CAP_SYS_PTRACE, so kernel.yama.ptrace_scope=3 may forbid it, or a security module (SELinux, AppArmor)" :
	       "root has CAP_SYS_PTRACE, so a security module (SELinux, AppArmor) or a sandbox forbids it, or the process is outside of "
	       "this container";
}

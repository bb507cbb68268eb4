/* SPDX-License-Identifier: MIT */
/* What tracing the kernel needs: capabilities (capabilities(7)), BPF, BTF. */
#include "kern/kern_int.h"

#include "base/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has(unsigned cap) { return base_has_cap(cap) || base_has_cap(CAP_SYS_ADMIN); }

bool kern_may_trace(struct err *reterr)
{
	bool bpf = has(CAP_BPF), perfmon = has(CAP_PERFMON);
	errno = 0;
	if (!bpf || !perfmon) {
		err_setf(reterr, -EPERM, "probes of the kernel need the capabilities CAP_BPF and CAP_PERFMON (%s%s%s missing): "
			 "%s",
			 bpf ? "" : "CAP_BPF", bpf || perfmon ? "" : " and ", perfmon ? "" : "CAP_PERFMON", geteuid() ?
			 "run dyntrace as root, or give them to it with setcap cap_bpf,cap_perfmon+ep" :
			 "root has not got them here; give them " BASE_CAP_WHERE);
		return false;
	}
	if (syscall(SYS_bpf, -1, NULL, 0) < 0 && errno == ENOSYS) {
		err_setf(reterr, -ENOSYS, "this kernel has no BPF (CONFIG_BPF_SYSCALL), which probes of the kernel run on");
		return false;
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		err_setf(reterr, -ENOENT, "this kernel does not describe its types: /sys/kernel/btf/vmlinux is missing (CONFIG_DEBUG_INFO_BTF)");
		return false;
	}
	return true;
}

/* SPDX-License-Identifier: MIT */
/* What tracing the kernel needs: capabilities (capabilities(7)), BPF, BTF. */
#include "kern/kern_int.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Asked of the kernel itself: /proc may not be there. */
static uint64_t effective(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	if (syscall(SYS_capget, &head, data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

static bool has(uint64_t caps, unsigned cap)
{
	return caps >> cap & 1 || caps >> CAP_SYS_ADMIN & 1;
}

bool kern_may_trace(struct err *reterr)
{
	uint64_t caps = effective();
	errno = 0;
	if (!has(caps, CAP_BPF) || !has(caps, CAP_PERFMON)) {
		err_setf(reterr, -EPERM, "probes of the kernel need the capabilities CAP_BPF and CAP_PERFMON (%s%s%s missing): "
			 "%s",
			 has(caps, CAP_BPF) ? "" : "CAP_BPF", has(caps, CAP_BPF) || has(caps, CAP_PERFMON) ? "" : " and ",
			 has(caps, CAP_PERFMON) ? "" : "CAP_PERFMON", geteuid() ?
			 "run dyntrace as root, or give them to it with setcap cap_bpf,cap_perfmon+ep" :
			 "root has not got them here; give them to the container or the service that this runs in, or run outside of it");
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

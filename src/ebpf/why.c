/* SPDX-License-Identifier: MIT */
/* Why a kernel that has BPF does not give it to us. */
#include "ebpf/ebpf_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool ebpf_locked_down(void)
{
	char text[128] = "";
	int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && strstr(text, "[confidentiality]");
}

int ebpf_not_permitted(int r, struct err *reterr)
{
	if (ebpf_locked_down())
		return err_setf(reterr, r, "this kernel is locked down (lockdown=confidentiality): no program may read its memory, which probes "
				"of the kernel do");
	return err_setf(reterr, r, "the kernel does not let this process load programs: probes of the kernel need CAP_BPF and "
			"CAP_PERFMON of the machine's first user namespace: %s", geteuid() ? "run it as root, not in a container" :
			"run it outside of the container or sandbox, or let that have them");
}

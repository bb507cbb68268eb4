/* SPDX-License-Identifier: MIT */
#include "base/caps.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

bool base_has_cap(unsigned cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	return !syscall(SYS_capget, &head, data) && data[cap / 32].effective >> cap % 32 & 1;
}

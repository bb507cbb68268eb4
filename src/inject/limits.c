/* SPDX-License-Identifier: MIT */
/*
 * A process that may not open more descriptors gets some for the moment of a call.  (Not so address space: what is mapped
 * stays, and with its limit restored the program itself could map nothing any more.)
 */
#include "inject/inject_int.h"

#include <errno.h>
#include <sys/resource.h>

#define MORE_FILES 64

void inject_limit_lift(struct inject *in, int64_t error, struct inject_limit *ret)
{
	*ret = (struct inject_limit){ .lifted = false };
	if (error != -EMFILE || prlimit(in->pid, RLIMIT_NOFILE, NULL, &ret->old))
		return;
	rlim_t cur = ret->old.rlim_cur + MORE_FILES;
	struct rlimit wide = { cur, ret->old.rlim_max > cur ? ret->old.rlim_max : cur };
	ret->lifted = !prlimit(in->pid, RLIMIT_NOFILE, &wide, NULL);
	wide = (struct rlimit){ ret->old.rlim_max, ret->old.rlim_max };
	if (!ret->lifted && ret->old.rlim_max > ret->old.rlim_cur) /* above the hard one only root may go */
		ret->lifted = !prlimit(in->pid, RLIMIT_NOFILE, &wide, NULL);
}

void inject_limit_restore(struct inject *in, const struct inject_limit *l)
{
	if (l->lifted)
		prlimit(in->pid, RLIMIT_NOFILE, &l->old, NULL);
}

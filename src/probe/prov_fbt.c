/* SPDX-License-Identifier: MIT */
/* fbt: functions of the kernel.  What a kernel lets programs be attached to is found out by trying. */
#include "probe/probe_int.h"

#include "kern/kern.h"

#include <string.h>

static int match(const struct probe_query *q, struct found *f)
{
	struct err e = { 0 };
	(void)f;
	if (strcmp(q->spec->prov, "fbt"))
		return 0;
	if (!kern_can_fentry(&e))
		err_setf(q->reterr, 0, "%s", e.msg);
	else
		err_setf(q->reterr, 0, "functions of the kernel cannot be traced by this version");
	return 0;
}

const struct probe_provider probe_fbt = { "fbt", match };

/* SPDX-License-Identifier: MIT */
/* What those who know bpftrace, SystemTap or C write, and what D calls it. Only names that D does not have. */
#include "d/d_int.h"

struct foreign {
	const char *theirs, *ours;
};

static const struct foreign vars[] = {
	{ "comm", "execname" }, { "nsecs", "timestamp" }, { "elapsed", "timestamp" }, { "func", "probefunc" },
	{ "probe", "probename" }, { "retval", "arg1 in a return probe" }, { "kstack", "stack( )" },
	{ "curtask", "curthread" }, { "username", "uid" },
};

static const struct foreign funcs[] = {
	{ "hist", "quantize( )" }, { "lhist", "lquantize( )" }, { "str", "copyinstr( )" }, { "kstr", "stringof( )" },
	{ "kstack", "stack( )" }, { "ntop", "inet_ntop( )" }, { "ksym", "sym( )" }, { "zero", "clear( )" },
	{ "delete", "NAME = 0 or trunc(@NAME)" }, { "signal", "raise( )" }, { "buf", "tracemem( )" },
	{ "strftime", "printf(\"%Y\", walltimestamp)" }, { "strcmp", "a == b, which compares strings" },
	{ "strncmp", "a == b with substr( )" }, { "strcontains", "strstr( ) or index( )" },
	{ "memcpy", "bcopy( )" }, { "reg", "uregs[R_...]" }, { "stats", "count( ), avg( ) and sum( )" },
	{ "execname", "execname without ( )" }, { "pid", "pid without ( )" }, { "tid", "tid without ( )" },
	{ "user_string", "copyinstr( )" },
};

static const char *find(struct d_compiler *c, const struct foreign *v, size_t cnt, const char *name)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].theirs, name))
			return d_fmt(c, "did you mean %s?", v[i].ours);
	return NULL;
}

const char *d_foreign_var(struct d_compiler *c, const char *name) { return find(c, vars, ARRAY_CNT(vars), name); }
const char *d_foreign_func(struct d_compiler *c, const char *name) { return find(c, funcs, ARRAY_CNT(funcs), name); }

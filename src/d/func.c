/* SPDX-License-Identifier: MIT */
#include "d/d_int.h"

static const char needs_kernel[] = "it is of the kernel's side, which this version does not trace";

/* Letters of args: see struct d_func. */
static const struct d_func funcs[] = {
	/* subroutines */
	{ "alloca", D_F_SUBR, IR_HELPER_alloca, "void *", "i", NULL, "size_t" },
	{ "basename", D_F_SUBR, IR_HELPER_basename, "string", "s", NULL, "char *" },
	{ "bcopy", D_F_SUBR, IR_HELPER_bcopy, "void", "qqi", NULL, "void *, void *, size_t" },
	{ "copyin", D_F_SUBR, IR_HELPER_copyin, "void *", "pi", NULL, "uintptr_t, size_t" },
	{ "copyinstr", D_F_SUBR, IR_HELPER_copyinstr, "string", "pI", NULL, "uintptr_t, size_t" },
	{ "copyinto", D_F_SUBR, IR_HELPER_copyinto, "void", "piq", NULL, "uintptr_t, size_t, void *" },
	{ "d_path", D_F_SUBR, IR_HELPER_kpath, "string", "p", NULL, "struct path *" },
	{ "__mount_path", D_F_SUBR, IR_HELPER_kpath, "string", "p", NULL, "struct path *" },
	{ "dirname", D_F_SUBR, IR_HELPER_dirname, "string", "s", NULL, "char *" },
	{ "index", D_F_SUBR, IR_HELPER_index, "int", "ssI", NULL, "char *, char *, int" },
	{ "lltostr", D_F_SUBR, IR_HELPER_lltostr, "string", "iI", NULL, "int64_t, int" },
	{ "rand", D_F_SUBR, IR_HELPER_rand, "int", "", NULL },
	{ "rindex", D_F_SUBR, IR_HELPER_rindex, "int", "ssI", NULL, "char *, char *, int" },
	{ "strchr", D_F_SUBR, IR_HELPER_strchr, "string", "si", NULL, "char *, char" },
	{ "strjoin", D_F_SUBR, IR_HELPER_strjoin, "string", "ss", NULL, "char *, char *" },
	{ "strlen", D_F_SUBR, IR_HELPER_strlen, "size_t", "s", NULL, "char *" },
	{ "strrchr", D_F_SUBR, IR_HELPER_strrchr, "string", "si", NULL, "char *, char" },
	{ "strrstr", D_F_SUBR, IR_HELPER_strrstr, "string", "ss", NULL, "char *, char *" },
	{ "strstr", D_F_SUBR, IR_HELPER_strstr, "string", "ss", NULL, "char *, char *" },
	{ "strtoll", D_F_SUBR, IR_HELPER_strtoll, "int64_t", "sI", NULL, "char *, int" },
	{ "substr", D_F_SUBR, IR_HELPER_substr, "string", "siI", NULL, "char *, int, int" },
	/* actions */
	{ "clear", D_F_ACTION, D_A_CLEAR, "void", "@", NULL },
	{ "denormalize", D_F_ACTION, D_A_DENORMALIZE, "void", "@", NULL },
	{ "exit", D_F_ACTION, D_A_EXIT, "void", "i", NULL, "int" },
	{ "freopen", D_F_ACTION, D_A_FREOPEN, "void", "a.", NULL },
	{ "jstack", D_F_ACTION, D_A_USTACK, "stack", "II", NULL, "uint32_t, uint32_t" },
	{ "normalize", D_F_ACTION, D_A_NORMALIZE, "void", "@a", NULL, "aggregation, uint64_t" },
	{ "print", D_F_ACTION, D_A_PRINT, "void", "a", NULL, "void *" },
	{ "printa", D_F_ACTION, D_A_PRINTA, "void", "a.", NULL },
	{ "printf", D_F_ACTION, D_A_PRINTF, "void", "a.", NULL, "string" },
	{ "setopt", D_F_ACTION, D_A_SETOPT, "void", "sS", NULL, "char *, char *" },
	{ "system", D_F_ACTION, D_A_SYSTEM, "void", "a.", NULL },
	{ "trace", D_F_ACTION, D_A_TRACE, "void", "a", NULL },
	{ "tracemem", D_F_ACTION, D_A_TRACEMEM, "void", "aiI", NULL, "address, size_t, size_t" },
	{ "trunc", D_F_ACTION, D_A_TRUNC, "void", "@A", NULL, "aggregation, int64_t" },
	{ "uaddr", D_F_ACTION, D_A_UADDR, "_usymaddr", "p", NULL, "uintptr_t" },
	{ "ufunc", D_F_ACTION, D_A_UFUNC, "_usymaddr", "p", NULL, "uintptr_t" },
	{ "umod", D_F_ACTION, D_A_UMOD, "_usymaddr", "p", NULL, "uintptr_t" },
	{ "ustack", D_F_ACTION, D_A_USTACK, "stack", "AA", NULL, "uint32_t, uint32_t" },
	{ "usym", D_F_ACTION, D_A_USYM, "_usymaddr", "p", NULL, "uintptr_t" },
	/* aggregating functions */
	{ "avg", D_F_AGG, WIRE_AGG_AVG, "void", "a", NULL },
	{ "count", D_F_AGG, WIRE_AGG_COUNT, "void", "", NULL },
	{ "llquantize", D_F_AGG, WIRE_AGG_LLQUANTIZE, "void", "aiiiiA", NULL,
	  "any, int32_t, int32_t, int32_t, int32_t" },
	{ "lquantize", D_F_AGG, WIRE_AGG_LQUANTIZE, "void", "aiiAA", NULL, "any, int32_t, int32_t" },
	{ "max", D_F_AGG, WIRE_AGG_MAX, "void", "a", NULL },
	{ "min", D_F_AGG, WIRE_AGG_MIN, "void", "a", NULL },
	{ "quantize", D_F_AGG, WIRE_AGG_QUANTIZE, "void", "aA", NULL },
	{ "stddev", D_F_AGG, WIRE_AGG_STDDEV, "void", "a", NULL },
	{ "sum", D_F_AGG, WIRE_AGG_SUM, "void", "a", NULL },
	/* speculations */
	{ "commit", D_F_ACTION, D_A_COMMIT, "void", "i", NULL, "int" },
	{ "discard", D_F_ACTION, D_A_DISCARD, "void", "i", NULL, "int" },
	{ "speculate", D_F_ACTION, D_A_SPECULATE, "void", "i", NULL, "int" },
	{ "speculation", D_F_SUBR, IR_HELPER_speculation, "int", "", NULL },
	/* strings, networks, processes */
	{ "cleanpath", D_F_SUBR, IR_HELPER_cleanpath, "string", "s", NULL, "char *" },
	{ "getmajor", D_F_INLINE, D_I_GETMAJOR, "uint32_t", "i", NULL, "dev_t" },
	{ "getminor", D_F_INLINE, D_I_GETMINOR, "uint32_t", "i", NULL, "dev_t" },
	{ "htonl", D_F_SUBR, IR_HELPER_bswap, "uint32_t", "i", NULL, "uint32_t" },
	{ "htonll", D_F_SUBR, IR_HELPER_bswap, "uint64_t", "i", NULL, "uint64_t" },
	{ "htons", D_F_SUBR, IR_HELPER_bswap, "uint16_t", "i", NULL, "uint16_t" },
	{ "inet_ntoa", D_F_SUBR, IR_HELPER_inet_ntoa, "string", "4", NULL, "ipaddr_t *" },
	{ "inet_ntoa6", D_F_SUBR, IR_HELPER_inet_ntoa6, "string", "6K", NULL, "struct in6_addr *, integer constant" },
	{ "inet_ntop", D_F_SUBR, IR_HELPER_inet_ntop, "string", "iq", NULL, "int, void *" },
	{ "link_ntop", D_F_SUBR, IR_HELPER_link_ntop, "string", "iq", NULL, "int, void *" },
	{ "ntohl", D_F_SUBR, IR_HELPER_bswap, "uint32_t", "i", NULL, "uint32_t" },
	{ "ntohll", D_F_SUBR, IR_HELPER_bswap, "uint64_t", "i", NULL, "uint64_t" },
	{ "ntohs", D_F_SUBR, IR_HELPER_bswap, "uint16_t", "i", NULL, "uint16_t" },
	{ "progenyof", D_F_SUBR, IR_HELPER_progenyof, "int", "i", NULL, "pid_t" },
	{ "strtok", D_F_SUBR, IR_HELPER_strtok, "string", "ss", NULL, "char *, char *" },
	/* destructive ones */
	{ "chill", D_F_ACTION, D_A_CHILL, "void", "i", NULL, "int" },
	{ "copyout", D_F_SUBR, IR_HELPER_copyout, "void", "qpi", NULL, "void *, uintptr_t, size_t" },
	{ "copyoutstr", D_F_SUBR, IR_HELPER_copyoutstr, "void", "spi", NULL, "char *, uintptr_t, size_t" },
	{ "ftruncate", D_F_ACTION, D_A_FTRUNCATE, "void", "", NULL },
	{ "raise", D_F_ACTION, D_A_RAISE, "void", "i", NULL, "int" },
	{ "stop", D_F_ACTION, D_A_STOP, "void", "", NULL },
	/* of the kernel's side: they compile, and fail where they run */
	{ "breakpoint", D_F_ACTION, D_A_KERNEL, "void", "", needs_kernel },
	{ "func", D_F_ACTION, D_A_SYM, "_symaddr", "p", NULL, "uintptr_t" },
	{ "mod", D_F_ACTION, D_A_MOD, "_symaddr", "p", NULL, "uintptr_t" },
	{ "mutex_owned", D_F_INLINE, D_I_KERNEL, "int", "m", needs_kernel, "struct mutex *" },
	{ "mutex_owner", D_F_INLINE, D_I_KERNEL, "void *", "m", needs_kernel, "struct mutex *" },
	{ "mutex_type_adaptive", D_F_INLINE, D_I_KERNEL, "int", "m", needs_kernel, "struct mutex *" },
	{ "mutex_type_spin", D_F_INLINE, D_I_KERNEL, "int", "m", needs_kernel, "struct mutex *" },
	{ "pcap", D_F_ACTION, D_A_KERNEL, "void", "qi", needs_kernel, "void *, int" },
	{ "panic", D_F_ACTION, D_A_KERNEL, "void", "", needs_kernel },
	{ "rw_iswriter", D_F_INLINE, D_I_KERNEL, "int", "w", needs_kernel, "rwlock_t *" },
	{ "rw_read_held", D_F_INLINE, D_I_KERNEL, "int", "w", needs_kernel, "rwlock_t *" },
	{ "rw_write_held", D_F_INLINE, D_I_KERNEL, "int", "w", needs_kernel, "rwlock_t *" },
	{ "stack", D_F_ACTION, D_A_STACK, "stack", "A", NULL, "uint32_t" },
	{ "sym", D_F_ACTION, D_A_SYM, "_symaddr", "p", NULL, "uintptr_t" },
	/* known to DTrace, not here */
	{ "ddi_pathname", D_F_UNSUP, 0, "string", ".", needs_kernel },
};

void d_funcs_init(struct d_compiler *c)
{
	for (size_t i = 0; i < ARRAY_CNT(funcs); i++)
		d_map_put(c, &c->funcs, d_intern(c, funcs[i].name, strlen(funcs[i].name)),
			(void *)(uintptr_t)&funcs[i]);
}

const struct d_func *d_func_at(uint32_t i)
{
	return i < ARRAY_CNT(funcs) ? &funcs[i] : NULL;
}

const struct d_func *d_func_find(struct d_compiler *c, const char *name)
{
	return d_map_get(&c->funcs, name);
}

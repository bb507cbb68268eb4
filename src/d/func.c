/* SPDX-License-Identifier: MIT */
#include "d/d_int.h"

static const char needs_kernel[] = "it is of the kernel's side, which this version does not trace";
static const char later[] = "this version does not have it yet";
static const char destructive[] = "this version changes nothing in the traced process";

/* Letters of args: see struct d_func. */
static const struct d_func funcs[] = {
	/* subroutines */
	{ "alloca", D_F_SUBR, IR_HELPER_alloca, "void *", "i", NULL },
	{ "basename", D_F_SUBR, IR_HELPER_basename, "string", "s", NULL },
	{ "bcopy", D_F_SUBR, IR_HELPER_bcopy, "void", "pqi", NULL },
	{ "copyin", D_F_SUBR, IR_HELPER_copyin, "void *", "pi", NULL },
	{ "copyinstr", D_F_SUBR, IR_HELPER_copyinstr, "string", "pI", NULL },
	{ "copyinto", D_F_SUBR, IR_HELPER_copyinto, "void", "piq", NULL },
	{ "dirname", D_F_SUBR, IR_HELPER_dirname, "string", "s", NULL },
	{ "index", D_F_SUBR, IR_HELPER_index, "int", "ssI", NULL },
	{ "lltostr", D_F_SUBR, IR_HELPER_lltostr, "string", "iI", NULL },
	{ "rand", D_F_SUBR, IR_HELPER_rand, "int", "", NULL },
	{ "rindex", D_F_SUBR, IR_HELPER_rindex, "int", "ssI", NULL },
	{ "strchr", D_F_SUBR, IR_HELPER_strchr, "string", "si", NULL },
	{ "strjoin", D_F_SUBR, IR_HELPER_strjoin, "string", "ss", NULL },
	{ "strlen", D_F_SUBR, IR_HELPER_strlen, "size_t", "s", NULL },
	{ "strrchr", D_F_SUBR, IR_HELPER_strrchr, "string", "si", NULL },
	{ "strstr", D_F_SUBR, IR_HELPER_strstr, "string", "ss", NULL },
	{ "strtoll", D_F_SUBR, IR_HELPER_strtoll, "int64_t", "sI", NULL },
	{ "substr", D_F_SUBR, IR_HELPER_substr, "string", "siI", NULL },
	/* actions */
	{ "clear", D_F_ACTION, D_A_CLEAR, "void", "@", NULL },
	{ "denormalize", D_F_ACTION, D_A_DENORMALIZE, "void", "@", NULL },
	{ "exit", D_F_ACTION, D_A_EXIT, "void", "i", NULL },
	{ "freopen", D_F_ACTION, D_A_FREOPEN, "void", "a.", NULL },
	{ "jstack", D_F_ACTION, D_A_USTACK, "stack", "II", NULL },
	{ "normalize", D_F_ACTION, D_A_NORMALIZE, "void", "@a", NULL },
	{ "print", D_F_ACTION, D_A_PRINT, "void", "a", NULL },
	{ "printa", D_F_ACTION, D_A_PRINTA, "void", "a.", NULL },
	{ "printf", D_F_ACTION, D_A_PRINTF, "void", "a.", NULL },
	{ "setopt", D_F_ACTION, D_A_SETOPT, "void", "sS", NULL },
	{ "system", D_F_ACTION, D_A_SYSTEM, "void", "a.", NULL },
	{ "trace", D_F_ACTION, D_A_TRACE, "void", "a", NULL },
	{ "tracemem", D_F_ACTION, D_A_TRACEMEM, "void", "aaA", NULL },
	{ "trunc", D_F_ACTION, D_A_TRUNC, "void", "@A", NULL },
	{ "uaddr", D_F_ACTION, D_A_UADDR, "_usymaddr", "p", NULL },
	{ "ufunc", D_F_ACTION, D_A_UFUNC, "_usymaddr", "p", NULL },
	{ "umod", D_F_ACTION, D_A_UMOD, "_usymaddr", "p", NULL },
	{ "ustack", D_F_ACTION, D_A_USTACK, "stack", "AA", NULL },
	{ "usym", D_F_ACTION, D_A_USYM, "_usymaddr", "p", NULL },
	/* aggregating functions */
	{ "avg", D_F_AGG, WIRE_AGG_AVG, "void", "a", NULL },
	{ "count", D_F_AGG, WIRE_AGG_COUNT, "void", "", NULL },
	{ "llquantize", D_F_AGG, WIRE_AGG_LLQUANTIZE, "void", "aaaaaA", NULL },
	{ "lquantize", D_F_AGG, WIRE_AGG_LQUANTIZE, "void", "aaaAA", NULL },
	{ "max", D_F_AGG, WIRE_AGG_MAX, "void", "a", NULL },
	{ "min", D_F_AGG, WIRE_AGG_MIN, "void", "a", NULL },
	{ "quantize", D_F_AGG, WIRE_AGG_QUANTIZE, "void", "aA", NULL },
	{ "stddev", D_F_AGG, WIRE_AGG_STDDEV, "void", "a", NULL },
	{ "sum", D_F_AGG, WIRE_AGG_SUM, "void", "a", NULL },
	/* known to DTrace, not here */
	{ "breakpoint", D_F_UNSUP, 0, "void", ".", needs_kernel },
	{ "chill", D_F_UNSUP, 0, "void", ".", destructive },
	{ "cleanpath", D_F_UNSUP, 0, "string", ".", later },
	{ "commit", D_F_UNSUP, 0, "void", ".", later },
	{ "copyout", D_F_UNSUP, 0, "void", ".", destructive },
	{ "copyoutstr", D_F_UNSUP, 0, "void", ".", destructive },
	{ "d_path", D_F_UNSUP, 0, "string", ".", needs_kernel },
	{ "ddi_pathname", D_F_UNSUP, 0, "string", ".", needs_kernel },
	{ "discard", D_F_UNSUP, 0, "void", ".", later },
	{ "ftruncate", D_F_UNSUP, 0, "void", ".", later },
	{ "func", D_F_UNSUP, 0, "_symaddr", ".", needs_kernel },
	{ "getmajor", D_F_UNSUP, 0, "dev_t", ".", later },
	{ "getminor", D_F_UNSUP, 0, "dev_t", ".", later },
	{ "htonl", D_F_UNSUP, 0, "uint32_t", ".", later },
	{ "htonll", D_F_UNSUP, 0, "uint64_t", ".", later },
	{ "htons", D_F_UNSUP, 0, "uint16_t", ".", later },
	{ "inet_ntoa", D_F_UNSUP, 0, "string", ".", later },
	{ "inet_ntoa6", D_F_UNSUP, 0, "string", ".", later },
	{ "inet_ntop", D_F_UNSUP, 0, "string", ".", later },
	{ "link_ntop", D_F_UNSUP, 0, "string", ".", later },
	{ "mod", D_F_UNSUP, 0, "_symaddr", ".", needs_kernel },
	{ "mutex_owned", D_F_UNSUP, 0, "int", ".", needs_kernel },
	{ "mutex_owner", D_F_UNSUP, 0, "void *", ".", needs_kernel },
	{ "mutex_type_adaptive", D_F_UNSUP, 0, "int", ".", needs_kernel },
	{ "mutex_type_spin", D_F_UNSUP, 0, "int", ".", needs_kernel },
	{ "ntohl", D_F_UNSUP, 0, "uint32_t", ".", later },
	{ "ntohll", D_F_UNSUP, 0, "uint64_t", ".", later },
	{ "ntohs", D_F_UNSUP, 0, "uint16_t", ".", later },
	{ "panic", D_F_UNSUP, 0, "void", ".", needs_kernel },
	{ "pcap", D_F_UNSUP, 0, "void", ".", needs_kernel },
	{ "progenyof", D_F_UNSUP, 0, "int", ".", later },
	{ "raise", D_F_UNSUP, 0, "void", ".", destructive },
	{ "rw_iswriter", D_F_UNSUP, 0, "int", ".", needs_kernel },
	{ "rw_read_held", D_F_UNSUP, 0, "int", ".", needs_kernel },
	{ "rw_write_held", D_F_UNSUP, 0, "int", ".", needs_kernel },
	{ "speculate", D_F_UNSUP, 0, "void", ".", later },
	{ "speculation", D_F_UNSUP, 0, "int", ".", later },
	{ "stack", D_F_UNSUP, 0, "stack", ".", "it shows the kernel's stack, which this version does not see; ustack() shows the program's" },
	{ "stop", D_F_UNSUP, 0, "void", ".", destructive },
	{ "strtok", D_F_UNSUP, 0, "string", ".", later },
	{ "sym", D_F_UNSUP, 0, "_symaddr", ".", needs_kernel },
};

void d_funcs_init(struct d_compiler *c)
{
	for (size_t i = 0; i < ARRAY_CNT(funcs); i++)
		d_map_put(c, &c->funcs, d_intern(c, funcs[i].name, strlen(funcs[i].name)),
			(void *)(uintptr_t)&funcs[i]);
}

const struct d_func *d_func_find(struct d_compiler *c, const char *name)
{
	return d_map_get(&c->funcs, name);
}

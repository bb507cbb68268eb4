/* SPDX-License-Identifier: MIT */
/* Trampolines at functions of the kernel: whether there are any, and for which functions (ADR 39). */
#include "kern/kern_int.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the kernel's own tests attach to: nobody else calls it. */
#define HARMLESS "bpf_fentry_test1"

static int bpf(int cmd, union bpf_attr *a)
{
	int r = (int)syscall(SYS_bpf, cmd, a, sizeof(*a));
	return r < 0 ? -errno : r;
}

/* A program that does nothing, loaded for a function and attached. 0, or a negative errno. */
static int try_it(uint32_t btf_id)
{
	static const struct bpf_insn nothing[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_TRACING, .insns = (uintptr_t)nothing, .insn_cnt = ARRAY_CNT(nothing),
			     .license = (uintptr_t)"Dual MIT/GPL", .expected_attach_type = BPF_TRACE_FENTRY, .attach_btf_id = btf_id };
	int prog = bpf(BPF_PROG_LOAD, &a);
	if (prog < 0)
		return prog;
	union bpf_attr at = { .raw_tracepoint = { .prog_fd = (uint32_t)prog } };
	int link = bpf(BPF_RAW_TRACEPOINT_OPEN, &at);
	if (link >= 0)
		close(link);
	close(prog);
	return link < 0 ? link : 0;
}

static const char *why_not(int r)
{
	switch (-r) {
	case ENOENT: return "its types (BTF) do not tell of functions";
	case EPERM: case EACCES: return "it refuses them although no right is missing (a kernel or a sandbox that forbids them to everybody)";
	case 524: case EOPNOTSUPP: return "it has no trampolines (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)";
	default: return strerror(-r);
	}
}

bool kern_can_fentry(struct err *reterr)
{
	static int result = 1; /* 1: not tried */
	if (!kern_may_trace(reterr))
		return false;
	if (result > 0) {
		int32_t id = kern_btf_id(HARMLESS, BTF_KIND_FUNC);
		result = id < 0 ? id : try_it((uint32_t)id);
	}
	if (result)
		err_setf(reterr, result, "no fentry programs: %s", why_not(result));
	return !result;
}

/* The value of one word that programs may load as it is: a number, or the address of what has a size or no type. */
static bool may_load(uint32_t type)
{
	const struct btf_type *t = kern_btf_resolve(type);
	if (!t)
		return false;
	if (BTF_INFO_KIND(t->info) != BTF_KIND_PTR)
		return true;
	t = kern_btf_resolve(t->type);
	return !t || BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT || BTF_INFO_KIND(t->info) == BTF_KIND_UNION;
}

static bool is_word(uint32_t type)
{
	const struct btf_type *t = kern_btf_resolve(type);
	if (!t)
		return false;
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_PTR:
		return true;
	case BTF_KIND_INT: case BTF_KIND_ENUM: case BTF_KIND_ENUM64:
		return t->size <= 8;
	default:
		return false;
	}
}

static bool is_only_one(const char *func, const char *module)
{
	const struct kern_func *v;
	uint32_t cnt = kern_funcs(&v), found = 0;
	for (uint32_t i = 0; i < cnt && found < 2; i++)
		found += !strcmp(v[i].name, func);
	return found == 1 && !strcmp(module, "vmlinux");
}

int kern_fentry_of(const char *func, const char *module, struct kern_fentry *ret)
{
	int32_t id = is_only_one(func, module) ? kern_btf_id(func, BTF_KIND_FUNC) : -ENOENT;
	const struct btf_type *f = id > 0 ? kern_btf_type((uint32_t)id) : NULL, *t = f ? kern_btf_type(f->type) : NULL;
	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_FUNC_PROTO)
		return -ENOENT;
	const struct btf_param *p = (const struct btf_param *)(t + 1);
	struct kern_fentry out = { .btf_id = (uint32_t)id, .arg_cnt = BTF_INFO_VLEN(t->info), .is_void = !t->type };
	if (out.arg_cnt > KERN_FENTRY_ARGS || (!out.is_void && !is_word(t->type)))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < out.arg_cnt; i++) {
		if (!is_word(p[i].type))
			return -EOPNOTSUPP;
		out.loads[i] = may_load(p[i].type);
	}
	out.loads[out.arg_cnt] = !out.is_void && may_load(t->type);
	*ret = out;
	return 0;
}

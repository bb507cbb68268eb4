/* SPDX-License-Identifier: MIT */
/*
 * Threads of Go programs that make them without a libc.  What is to be known of them stands in the code that makes
 * them, runtime.clone:
 *
 *	lea  0x88(%r13),%r8        the place of its fs base, less 8: m.tls; before Go 1.18 behind the system call
 *	...
 *	mov  $SYS_gettid,%eax
 *	syscall
 *	mov  %rax,0x48(%r13)       m.procid: its id
 *
 * With cgo a libc makes them, whose blocks they have; the runtime then has crosscall2, the way from C to Go.
 */
#include "session/session_int.h"

#include <string.h>

#define CLONE_BYTES 512
#define R13 13
#define TLS_SLOT 8 /* what settls and clone add to &m.tls */

static const char *const clone_names[] = { "runtime.clone.abi0", "runtime.clone" };
static const char *const cgo_names[] = { "crosscall2.abi0", "crosscall2" };
static const char *const settls_names[] = { "runtime.settls.abi0", "runtime.settls" };

static bool find(struct target *t, const char *const names[2], uint64_t *ret_addr, uint64_t *ret_bytes)
{
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		if (!m->end || m->is_vdso || !obj_module_is_go(t->obj, m))
			continue;
		for (int k = 0; k < 2; k++)
			if (!obj_module_find(t->obj, m, names[k], ret_addr, ret_bytes))
				return true;
	}
	return false;
}

/* A store of rax. */
static bool stores_rax(const uint8_t *p)
{
	return p[0] == 0x49 && p[1] == 0x89 && (p[2] >> 3 & 7) == 0;
}

struct clone {
	int32_t tls, procid; /* offsets in the runtime's struct m; 0: not found */
	bool calls_settls;
};

static bool look(struct target *t, struct clone *ret)
{
	uint8_t code[CLONE_BYTES];
	uint64_t addr, bytes, settls = 0, unused;
	struct isa_insn in;
	*ret = (struct clone){ 0 };
	if (!find(t, clone_names, &addr, &bytes))
		return false;
	bytes = bytes < sizeof(code) ? bytes : sizeof(code);
	if (target_read(t, addr, code, bytes))
		return false;
	find(t, settls_names, &settls, &unused);
	for (uint64_t at = 0; at < bytes && !isa_decode(code + at, bytes - at, addr + at, &in); at += in.len) {
		bool of_m = in.has_mem && in.base == R13 && in.index == ISA_REG_NONE;
		if (of_m && in.op == ISA_OP_LEA)
			ret->tls = in.disp;
		else if (of_m && stores_rax(code + at))
			ret->procid = in.disp;
		else if (in.flow == ISA_CALL && settls && in.target == settls)
			ret->calls_settls = true;
	}
	return true;
}

int32_t gothreads_tid_off(struct target *t)
{
	uint64_t addr, bytes;
	struct clone c;
	if (find(t, cgo_names, &addr, &bytes) || !look(t, &c) || c.tls <= 0 || c.procid <= 0)
		return 0;
	return c.procid - (c.tls + TLS_SLOT);
}

static bool is_among(const char *name, const char *const names[2])
{
	return !strcmp(name, names[0]) || !strcmp(name, names[1]);
}

bool gothreads_begin_at(struct target *t, uint64_t addr)
{
	const struct obj_sym *sym;
	struct obj_module *mod;
	struct clone c;
	if (obj_symbolize(t->obj, addr, &sym, &mod))
		return false;
	return (is_among(sym->name, clone_names) || is_among(sym->name, settls_names)) && look(t, &c) && c.calls_settls;
}

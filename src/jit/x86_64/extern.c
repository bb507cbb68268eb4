/* SPDX-License-Identifier: MIT */
/* A body that only goes on to a function of a library in the process, where the process and the site are enabled. */
#include "jit/x86_64/gen_int.h"

#include <errno.h>
#include <string.h>

int64_t jit_extern_body(const struct jit_env *env, uint64_t fn, uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr)
{
	static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 }; /* jmp *0(%rip) */
	struct x64_asm a;
	x64_init(&a, buf, cap, addr);
	uint32_t out = x64_label(&a);
	x64_push(&a, X64_RCX);
	if (env->wipe_addr) {
		x64_mov_imm(&a, X64_RCX, env->wipe_addr);
		x64_cmp64_imm(&a, x64_at(X64_RCX, 0), 0);
		x64_jcc(&a, X64_CC_E, out);
	}
	x64_mov_imm(&a, X64_RCX, env->shm_addr);
	x64_cmp32_imm(&a, x64_at(X64_RCX, offsetof(struct wire_shm, armed)), 0);
	x64_jcc(&a, X64_CC_E, out);
	x64_mov_imm(&a, X64_RCX, env->shm_addr + env->geometry->site_off);
	x64_rr(&a, X64_ADD, X64_RAX, X64_RCX);
	x64_cmp32_imm(&a, x64_at(X64_RAX, offsetof(struct wire_site, enabled)), 0);
	x64_jcc(&a, X64_CC_E, out);
	x64_pop(&a, X64_RCX);
	x64_bytes(&a, jump, sizeof(jump));
	x64_bytes(&a, (const uint8_t *)&fn, sizeof(fn));
	x64_bind(&a, out);
	x64_pop(&a, X64_RCX);
	x64_ret(&a);
	int64_t n = x64_finish(&a);
	x64_deinit(&a);
	return n < 0 ? err_setf(reterr, (int)n, "no room for the code of a probe") : n;
}

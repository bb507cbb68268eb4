/* SPDX-License-Identifier: MIT */
/*
 * jit: verified IR to x86-64 machine code, for a caller's buffer.
 *
 * A *body* runs the programs of one list of clauses for one kind of site.  A
 * trampoline (patch) calls it:
 *
 *     [lea -128(%rsp),%rsp]     red zone, where there may be one
 *     push %rax
 *     [pushfq; cld]             where flags are live
 *     mov $site,%eax
 *     call body                 body: preserves all registers but rax and flags
 *     [popfq]
 *     pop %rax
 *     [lea 128(%rsp),%rsp]
 *
 * so at the body's first instruction rsp + site->sp_adj is the application's
 * rsp, and its rax lies at 8(%rsp) (16(%rsp) with flags: site->sp_adj tells).
 * Bodies never touch xmm, mask or x87 registers.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "ir/ir.h"

/* Addresses and geometry that code is generated for; all in the process that
 * will run it. */
struct jit_env {
	const struct wire_shm *geometry; /* only sizes and offsets are read */
	uint64_t shm_addr;               /* where wire_shm is mapped there */
	uint32_t proc_idx;
	uint32_t proc_flags;             /* WIRE_PROC_* */
	/* Functions of rt in that process. */
	uint64_t helper_addr[IR_HELPER_CNT];
	uint64_t fn_thread_find, fn_enter, fn_leave, fn_rec_open, fn_rec_commit, fn_fault, fn_agg, fn_env;
};

/* Generates at @buf (room for @cap bytes) the body for @progs that will stand
 * at @addr.  Returns its length, or -ENOSPC (try again with more), -EINVAL. */
int64_t jit_body(const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs,
		 uint32_t prog_cnt, uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr);
/* Likewise a body that only calls hook helper @helper (rt_hook_dl). */
int64_t jit_hook_body(const struct jit_env *, enum ir_helper helper, uint64_t addr, uint8_t *buf,
		      size_t cap, struct err *reterr);
/* Disassembly of generated code. */
void jit_print(FILE *, const uint8_t *code, size_t bytes, uint64_t addr);
/* Generates and prints, each IR instruction before its code, for -d jit.  0 or an error of jit_body(). */
int jit_print_progs(FILE *, const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs,
		    uint32_t prog_cnt, uint64_t addr, struct err *reterr);

#endif

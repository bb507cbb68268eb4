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
 *     mov $site,%eax            the offset of its struct wire_site in their array
 *     call body                 body: preserves all registers but rax and flags
 *     [popfq]
 *     pop %rax
 *     [lea 128(%rsp),%rsp]
 *
 * (behind what jit_filter() makes, where flags are not live), so at the body's first instruction rsp + site->sp_adj is the application's
 * rsp, and its rax lies at 8(%rsp), or at 16(%rsp) with flags, which is when
 * sp_adj is an odd number of words: 16, +8 with flags, +128 with the red zone.
 *
 * A body returns at once where shm->armed or site->enabled is 0, exit() was
 * called, or the process is a forked child (one in its trampoline does not look, where struct wire_wipe names who is there); else it finds the thread, enters a context, and runs its programs in
 * order.  A program that faults has its ERROR record and the next one runs;
 * one that calls exit() is the last.  Bodies
 * - assume that DF is 0 (pushfq; cld where it may not be);
 * - never touch xmm, mask or x87 registers, nor the red zone;
 * - take at most 160 bytes of the application's stack (without a context 380),
 *   and what the called functions of rt take below that; vregs that fit no register lie behind the
 *   context's scratch memory (wire_layout_in.spill_bytes);
 * - use no %fs: relative word but tid_off, and with WIRE_PROC_FSGSBASE not even
 *   that while the fs base is 0.  Without the flag they read %fs:0 at once, so
 *   they must not be armed before the thread's fs base is set;
 * - hold wherever they are mapped at @addr only: near rt and the shared memory
 *   they address them relative to rip.
 *
 * With jit_env.own_stack a body takes at most 72 bytes of the application's stack (some 200 more once in each thread)
 * and the rest of wire_thread.own_stack.  That is for code that may run with next to none left (Go's chains of
 * functions that do not look).  Signal handlers then must run on an alternate stack and not be interrupted by others
 * there: to the kernel a thread on a stack of ours has left it.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "ir/ir.h"

/* Addresses and geometry that code is generated for; all in the process that
 * will run it. */
struct jit_env {
	const struct wire_shm *geometry; /* only sizes and offsets are read */
	uint64_t shm_addr;               /* where wire_shm is mapped there */
	uint64_t wipe_addr;              /* wire_proc.wipe_addr; 0: forked children are not told from the process */
	const struct wire_agg *aggs;     /* of the image; NULL: not known, all of them go through rt */
	uint32_t proc_idx;
	uint32_t proc_flags;             /* WIRE_PROC_* */
	uint32_t tid_off;                /* wire_proc.tid_off, if that is known for good; else 0 */
	bool own_stack;                  /* bodies run on a stack of the thread's area; see below */
	bool go_args;                    /* functions have their arguments where Go has them */
	/* Functions of rt in that process. */
	uint64_t helper_addr[IR_HELPER_CNT];
	uint64_t fn_thread_find, fn_enter, fn_leave, fn_rec_open, fn_rec_commit, fn_fault, fn_agg, fn_agg_plain, fn_agg_key, fn_rec_put,
		fn_rec_publish, fn_vfork_id_at, fn_env, fn_site_args, fn_child, fn_agg_ustack;
};

/* Generates at @buf (room for @cap bytes) the body for @progs, which were
 * verified, that will stand at @addr.  Returns its length, or -ENOSPC (try again
 * with more; bytes beyond @cap stay untouched), -EINVAL (the geometry has no room
 * for the program), -ENOMEM.  The same input gives the same bytes. */
int64_t jit_body(const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs,
		 uint32_t prog_cnt, uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr);
/* The same for one site alone, whose trampoline has it in the place of the call, so without the return address (ADR 47). */
struct jit_spot {
	uint32_t site;      /* index of its struct wire_site */
	uint16_t sp_adj;    /* what that has, less 8 where rax is dead */
	uint16_t dead;      /* general registers that need not be saved; rax: the trampoline has not saved it */
	uint64_t addr;      /* where the code will stand that each hit runs: from its first byte to behind its last */
	uint64_t cold_addr; /* and the rest */
	uint64_t body;      /* with a budget: of the programs, by jit_body().  At the spot is only what counts hits that are off, and calls it */
};
/* Generates both parts at @buf, one behind the other; the first has *ret_hot_bytes.  As jit_body(); 0: the programs need a
 * context, and have no such code; with a budget, if they read flags. */
int64_t jit_spot_body(const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs, uint32_t prog_cnt,
		      const struct jit_spot *, uint8_t *buf, size_t cap, uint32_t *ret_hot_bytes, struct err *reterr);
/* Likewise a body that only calls hook helper @helper (rt_hook_dl). */
int64_t jit_hook_body(const struct jit_env *, enum ir_helper helper, uint64_t addr, uint8_t *buf,
		      size_t cap, struct err *reterr);
/* Likewise a body that goes on to the function at @fn in the process: rax is the site's address there, the return
 * address leads to the trampoline, and it has to preserve what a body does. */
int64_t jit_extern_body(const struct jit_env *, uint64_t fn, uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr);
/* What the trampoline can do instead of all this, where flags are dead: at most JIT_FILTER_MAX bytes of code that hold anywhere,
 * use the application's registers and change flags only.  They end in a jump with a rel32 for the caller to fill in, which is to lead
 * to all this; where it is not taken the programs do nothing.  Returns their length; 0: there is no such code. */
#define JIT_FILTER_MAX 13
uint32_t jit_filter(const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs, uint32_t prog_cnt,
		    uint8_t ret_code[JIT_FILTER_MAX]);
/* Disassembly of generated code. */
void jit_print(FILE *, const uint8_t *code, size_t bytes, uint64_t addr);
/* Generates and prints, each IR instruction before its code, for -d jit.  0 or an error of jit_body(). */
int jit_print_progs(FILE *, const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs,
		    uint32_t prog_cnt, uint64_t addr, struct err *reterr);

#endif

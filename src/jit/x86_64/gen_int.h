/* SPDX-License-Identifier: MIT */
/*
 * Private to src/jit: generating one body.
 *
 *   quick.c  bodies whose programs need no context; quick_key.c: their keys that a site alone decides;
 *            quick_join.c: all programs as one
 *   body.c   the frame: early exits, saves, the thread, the context, the order of the programs
 *   prog.c   one program: control flow, records, calls
 *   alu.c    operations on registers
 *   mem.c    loads, stores, ENV, ARG
 *   thread.c which thread it is
 *
 * Registers while programs run:
 *
 *   rbx                      struct rt_ctx
 *   rax rcx rdx rsi r8       temporary: never hold a vreg, so the arguments of a call
 *                            can be filled in any order (quick bodies: quick_int.h)
 *   rdi r9 r10 r11           vregs that no call lies across
 *   rbp r12 r13 r14 r15      vregs
 *   rsp                      16-aligned; the word there is the address of the saved registers
 *
 * Spill slots lie behind the context's scratch memory, not on the
 * application's stack: a body takes at most 160 bytes of that.
 */
#ifndef JIT_X86_64_GEN_INT_H
#define JIT_X86_64_GEN_INT_H

#include "jit/alloc.h"
#include "jit/jit.h"
#include "jit/x86_64/asm.h"
#include "rt/rt.h"

#include <assert.h>

#define JIT_CTX X64_RBX
/* From the gate on: the process's struct wire_proc, from which all of the shared memory that is near is addressed. */
#define JIT_PROC X64_RSI
#define JIT_CTX_AT(field) x64_at(JIT_CTX, offsetof(struct rt_ctx, field))

static inline struct x64_mem jit_tool_arg(unsigned n)
{
	return x64_at(JIT_CTX, (int64_t)(offsetof(struct rt_ctx, tool_args) + 8 * (size_t)n));
}

/* Code that is seldom run, emitted behind the body. */
struct jit_fault {
	uint32_t label;
	uint32_t pc;       /* of the instruction that faults */
	uint32_t next;     /* label behind the program */
	bool is_div;       /* fault and value are still to be set */
	bool is_arg;       /* likewise: argument @arg of a USDT site could not be read */
	bool is_retval;    /* likewise: there is no return value */
	uint8_t arg;
};

/* What a body pushes, and labels of its frame. */
struct jit_frame {
	uint8_t saved[X64_REG_CNT + 1]; /* registers; JIT_PROC first, unless it is dead */
	unsigned saved_cnt;
	bool flags;
	uint32_t leave, quick; /* behind the programs; behind the first push */
	uint32_t out;          /* the frame is there, the context is not */
	uint32_t early;        /* with a stack of our own: that is not in use yet. Else the same as out. */
	uint32_t crowded;      /* no stack of our own is free */
	uint32_t alive, child; /* the process is no forked child; it is one */
};

struct jit_quick;
struct jit_site_keys;
struct jit_gen {
	struct x64_asm a;
	const struct jit_env *env;
	enum wire_site_kind kind;
	bool is_tail;         /* RETURN: there is no value yet */
	const struct jit_spot *spot; /* NULL: the body is called, for any site */
	const struct ir_prog *const *progs;
	uint32_t prog_cnt;
	/* Where they were made one: that one, and they. */
	struct ir_prog joined;
	const struct ir_prog *joined_at;
	const struct ir_prog *const *apart; /* NULL: they were not */
	uint32_t apart_cnt;
	struct jit_alloc *allocs; /* by program */
	struct jit_fault *faults;
	uint32_t fault_cnt, fault_cap;
	bool no_memory;
	/* What the programs need of the prologue. */
	uint32_t regs_needed; /* mask of enum wire_reg */
	uint32_t args_needed; /* of a USDT body: mask */
	bool tsc_needed;
	bool alloca_used;      /* some program calls alloca() or its like: each begins with none of it */
	bool proc_known;         /* JIT_PROC is set from the gate on */
	enum x64_reg thr;        /* of a quick body: struct wire_thread; JIT_PROC itself, where nothing behind needs the process */
	uint32_t lookups;        /* how often a quick body looks it up */
	bool proc_ends;          /* and needs no JIT_PROC behind that, whose register could have it */
	bool proc_rests;         /* nor between the gate and that */
	uint32_t spares;         /* rcx and rdx, where a quick body leaves them alone, so they need not be saved */
	struct jit_quick *quick; /* NULL: programs have a context */
	struct jit_site_keys *keys; /* NULL: no key is decided by the site */
	/* The program under way. */
	const struct ir_prog *p;
	const struct jit_alloc *al;
	uint32_t *targets;    /* label of each instruction that is a target */
	uint32_t next_label;  /* behind the program */
	/* Where each instruction's code begins, for the printer; NULL: not wanted. */
	struct jit_note *notes;
	uint32_t note_cnt, note_cap;
};
struct jit_note {
	size_t at;
	uint32_t prog, insn;
};

/* Generate all but for the targets of branches, which x64_finish() fills in. */
int jit_gen_body(struct jit_gen *, struct err *reterr);
void jit_gen_hook(struct jit_gen *, enum ir_helper);
/* jit.c: the body and the branches.  As jit_body(). */
int64_t jit_gen_finish(struct jit_gen *, struct err *reterr);
void jit_gen_init(struct jit_gen *, const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs,
		  uint32_t prog_cnt, uint64_t addr, uint8_t *buf, size_t cap);
void jit_gen_deinit(struct jit_gen *);

/* body.c, for both kinds of body */
enum wire_reg jit_arg_reg(const struct jit_gen *, int64_t arg); /* at an entry; arg < 6 */
int jit_saved_at(const struct jit_frame *, unsigned reg); /* index of a saved register, or -1 */
bool jit_is_dead(const struct jit_gen *, enum x64_reg); /* nobody wants it, neither the application nor a program */
static inline bool jit_saves_proc(const struct jit_frame *f)
{
	return f->saved_cnt && f->saved[0] == JIT_PROC;
}
void jit_gen_save_proc(struct jit_gen *, const struct jit_frame *);
int64_t jit_gen_gate(struct jit_gen *, const struct jit_frame *);
void jit_gen_child(struct jit_gen *, const struct jit_frame *);
void jit_gen_restore(struct jit_gen *, const struct jit_frame *); /* from behind the first push on: to the end */

/* What is @off behind the start of the site's struct, or of another with its number, which is @base from JIT_PROC; before rax is
 * changed. */
struct x64_mem jit_site_at(const struct jit_gen *, int64_t base, size_t off);
static inline uint32_t jit_spot_bytes(const struct jit_spot *spot)
{
	return spot->site * (uint32_t)sizeof(struct wire_site);
}

/* rate.c, in the gate, where JIT_PROC is set.  With a budget: hits are counted, and what is sampled goes on at times only. */
void jit_gen_rate(struct jit_gen *, const struct jit_frame *);
void jit_gen_rate_spot(struct jit_gen *); /* all of what stands in the trampoline, before a body that is called */

/* thread.c, where JIT_PROC is set.  jit_gen_thread: the calling thread's area in @result; changes @temp.  Behind the body,
 * jit_gen_thread_raw: the same for others than the first thread, and where a block does not say where it is; what follows is for a thread that the hash does not
 * know.  There jit_gen_thread_self makes the third and the fourth argument of fn_thread_find (rdx, rcx); it is to be called
 * then, and @found to be reached with the same registers as on the quick way. */
struct jit_thread {
	enum x64_reg result, temp;
	uint32_t found, other, slow, raw;
};
struct jit_thread jit_thread_init(struct jit_gen *, enum x64_reg result, enum x64_reg temp);
void jit_gen_thread(struct jit_gen *, const struct jit_thread *);
/* Of the process's first thread alone, for which nothing else need be looked at (struct wire_wipe): JIT_PROC need not be set.  Goes to
 * @other, with @result changed, where it is not or may not be. */
void jit_gen_main_thread(struct jit_gen *, const struct jit_thread *, uint32_t other);
void jit_gen_thread_raw(struct jit_gen *, const struct jit_thread *);
void jit_gen_thread_self(struct jit_gen *);

/* stack.c.  jit_is_stack: all that the programs do is this, but for the registers in it.  jit_gen_stack: does it; rax is the
 * thread, rbx the site, rsp points to the frame, which is @entry_bytes below the rsp that the site's sp_adj counts from. */
bool jit_is_stack(const struct jit_gen *, struct rt_stack_add *ret);
void jit_gen_stack(struct jit_gen *, const struct jit_frame *, int32_t entry_bytes, const struct rt_stack_add *);

/* quick.c: bodies without a context */
bool jit_is_quick(const struct jit_gen *);
void jit_gen_quick(struct jit_gen *, struct jit_frame *);
bool jit_gen_quick_insn(struct jit_gen *, uint32_t insn); /* false: as in all bodies */

/* quick_join.c.  jit_join: makes one program of all; false: it is not worth it.  jit_unjoin: as it was before. */
bool jit_join(struct jit_gen *);
void jit_unjoin(struct jit_gen *);

/* quick_key.c, before registers are given.  0 or -ENOMEM. */
int jit_keys_init(struct jit_gen *);
void jit_keys_deinit(struct jit_gen *);
/* Of program @i: which instructions only make such keys (for jit_alloc_init()); NULL: none. */
const uint8_t *jit_keys_skip(const struct jit_gen *, uint32_t i);

/* prog.c */
void jit_gen_prog(struct jit_gen *);
/* The cold code of all programs. */
void jit_gen_faults(struct jit_gen *);
/* A label at which instruction @pc faults. */
uint32_t jit_fault_label(struct jit_gen *, uint32_t pc, bool is_div);
/* The same for an IR_OP_ARG of a USDT site. */
uint32_t jit_fault_label_arg(struct jit_gen *, uint32_t pc, unsigned arg);
uint32_t jit_fault_label_retval(struct jit_gen *, uint32_t pc);

/* alu.c */
void jit_gen_alu(struct jit_gen *, uint32_t insn);
bool jit_is_compare(unsigned op);
/* Compares; the condition that means "true". */
enum x64_cc jit_gen_compare(struct jit_gen *, const struct ir_insn *);

/* mem.c */
/* From and to @m, with the width of the instruction. */
void jit_gen_load(struct jit_gen *, const struct ir_insn *, struct x64_mem m);
void jit_gen_store(struct jit_gen *, const struct ir_insn *, struct x64_mem m);
void jit_gen_mem(struct jit_gen *, const struct ir_insn *);
void jit_gen_env(struct jit_gen *, const struct ir_insn *);
void jit_gen_arg(struct jit_gen *, uint32_t insn);
/* tsc into the context; changes rax and rdx. */
void jit_gen_tsc(struct jit_gen *);
/* The counter itself, where the process may read it, into rax; rdx is lost. */
void jit_gen_read_tsc(struct jit_gen *);
/* rax: ns of the tsc in it, as wire_shm says; rdx is lost. */
void jit_gen_ns(struct jit_gen *, struct x64_mem tsc_base, struct x64_mem tsc_mult, struct x64_mem ns_base);

/* ---- operands ---- */

static inline struct jit_loc jit_loc(const struct jit_gen *g, uint32_t vreg)
{
	return g->al->locs[vreg];
}
struct x64_mem jit_spill_at(const struct jit_gen *, uint32_t slot);
struct x64_mem jit_quick_arg_at(const struct jit_gen *, uint32_t home); /* quick_args.c: the same in a quick body */
/* Value of @vreg into @reg. */
void jit_load(struct jit_gen *, enum x64_reg reg, uint32_t vreg);
/* The register that holds @vreg: its own, or @tmp, into which it is loaded. */
enum x64_reg jit_src(struct jit_gen *, uint32_t vreg, enum x64_reg tmp);
/* Where to compute a result: the register of @vreg, or @tmp; then _done stores it. */
enum x64_reg jit_dst(const struct jit_gen *, uint32_t vreg, enum x64_reg tmp);
void jit_dst_done(struct jit_gen *, uint32_t vreg, enum x64_reg reg);
/* A place in this process's memory: rip-relative, or by @tmp. */
struct x64_mem jit_abs(struct jit_gen *, uint64_t addr, enum x64_reg tmp);
static inline uint64_t jit_proc_addr(const struct jit_env *env)
{
	return env->shm_addr + env->geometry->proc_off + env->proc_idx * sizeof(struct wire_proc);
}

/* A place in the shared memory less than 2 GiB from JIT_PROC, which is set. */
static inline struct x64_mem jit_near(const struct jit_gen *g, uint64_t addr)
{
	int64_t off = (int64_t)(addr - jit_proc_addr(g->env));
	assert(off == (int32_t)off);
	return x64_at(JIT_PROC, off);
}

#endif

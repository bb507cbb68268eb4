/* SPDX-License-Identifier: MIT */
/*
 * rt: what running programs call.  Compiled twice from the same sources: into
 * the agent (freestanding, general registers only, no red zone, nothing
 * linked) and into the tools (for BEGIN, END, tick and the tests).
 *
 * Context: every function here may run in any thread of the traced process at
 * any instruction, inside malloc, the loader and signal handlers.  No locks,
 * no libc, no TLS, at most 640 bytes of stack in all; no system call when
 * WIRE_PROC_NO_SYSCALL is set.
 */
#ifndef RT_RT_H
#define RT_RT_H

#include "wire/wire.h"

/* One running probe.  Lies in the thread area, one per level; generated code
 * keeps its address in a register.  Pointers are of the process it runs in. */
struct rt_ctx {
	struct wire_shm *shm;
	struct wire_proc *proc;
	struct wire_thread *thr;
	const struct wire_site *site;
	struct wire_rec *rec;  /* the open record, or NULL */
	uint64_t tsc;          /* at the firing; what record and timestamp show */
	uint32_t rec_max;      /* bytes reserved for rec, header included */
	uint32_t rec_used;     /* bytes in use: header, fixed part and tail so far */
	uint32_t fault;        /* enum wire_fault; set: the program ends */
	uint32_t clause;       /* the program that runs */
	uint64_t fault_value;
	uint32_t pc, action;   /* of the instruction that may fault; the current action */
	uint32_t level;
	uint32_t alloca_used;  /* of wire_shm.alloca_bytes, by the program that runs */
	uint64_t regs[WIRE_REG_CNT]; /* of the application; which of them are filled depends on the body */
	uint64_t tool_args[10]; /* arg0.. of the tool's own probes, and of USDT ones after rt_site_args() */
	uint64_t vtime;        /* vtimestamp of this firing; 0: not asked for yet */
	uint32_t args_bad;     /* bit n: argn could not be read, tool_args[n] is its address */
	uint64_t signals;      /* bit n - 1: rt_leave() raises signal n */
	uint64_t stack_sum;    /* of what was walked last: differs where stacks do, mostly; 0: nothing was */
	uint8_t scratch[] __attribute__((aligned(16))); /* wire_shm.scratch_bytes */
};

typedef uint64_t rt_helper_fn(struct rt_ctx *, uint64_t, uint64_t, uint64_t, uint64_t);

/* ---- generated code and the interpreter call these around programs ---- */

/* Finds or makes the slot of the calling thread.  @key: fs base; @check: the
 * word at fs:tid_off.  NULL: no slot free or a forked child that is not
 * traced (counted in proc->lost_threads in the first case).  The slow path:
 * generated code looks in the hash itself first. */
struct wire_thread *rt_thread_find(struct wire_shm *, struct wire_proc *, uint64_t key, uint32_t check);
/* Generated code no longer takes its first thread for granted (struct wire_wipe).  What forbids it was stored before. */
void rt_thread_forget_main(const struct wire_proc *);

/* Takes a level; NULL: too deep (counted).  @sp: the application's rsp, by
 * which levels that a longjmp left behind are found.  Fills shm, proc, thr,
 * site, level, clears fault, rec, alloca_used, vtime, signals, stack_sum and the this-> bytes. */
struct rt_ctx *rt_enter(struct wire_shm *, struct wire_proc *, struct wire_thread *,
			const struct wire_site *, uint64_t sp);
/* Gives the level back, then raises the signals that raise() and stop() asked for. */
void rt_leave(struct rt_ctx *);

/* The record of the clause that runs.  open: 0, or -1 when the ring is full
 * (drop counted).  @fixed bytes of payload are zeroed. */
int rt_rec_open(struct rt_ctx *, uint32_t payload_max, uint32_t fixed);
void rt_rec_commit(struct rt_ctx *);
/* For quick bodies: the record @rec, which lies anywhere, with a context of its own; @sp: the application's rsp. */
void rt_rec_put(struct wire_shm *, struct wire_proc *, struct wire_thread *, const struct wire_rec *rec, uint64_t sp);
/* Publishes what came in between while a quick body wrote a record by itself; @late: gives that one up, which it has noted
 * too late (ring_quick_late()). */
void rt_rec_publish(struct wire_shm *, struct wire_thread *, uint64_t late);
#define RT_QUICK_STACK 512 /* how far below the application's rsp that of a quick body may be, trampoline included */
/* After a fault: voids the open record, writes an ERROR record, clears the fault. */
void rt_fault(struct rt_ctx *);

/* Adds @val (@weight: number of times, or the frequency argument of
 * quantize & co) to aggregation @agg under the tuple in slot @tuple_off of
 * scratch (WIRE_NONE: no key). */
void rt_agg(struct rt_ctx *, uint32_t agg, uint64_t tuple_off, uint64_t val, uint64_t weight);
/* The same of an aggregation without keys, and without a context: notes where its value is, if it is no count. */
void rt_agg_plain(struct wire_shm *, struct wire_thread *, uint32_t agg, uint64_t val, uint64_t weight);
/* Likewise under a key of @words words: the entry's place (rt/agg.h), which is for good; 0: there is no room for it. */
uint32_t rt_agg_key(struct wire_shm *, struct wire_thread *, uint64_t agg_and_words /* words << 32 | agg */, uint64_t val,
		    uint64_t weight, const uint64_t *key);

/* @agg[ustack(@frames)] of aggregation @agg gets @val, at a site of user code; with a context of its own, but for stacks that are
 * the same again.  @sp: the application's rsp. */
struct rt_stack_add {
	uint64_t bp, bx, r10;  /* the application's */
	uint32_t agg, frames;
	uint32_t slot, clause; /* the tuple's; of errors */
	uint64_t val;
};
void rt_agg_ustack(struct wire_shm *, struct wire_proc *, struct wire_thread *, const struct wire_site *, uint64_t sp,
		   const struct rt_stack_add *);

/* For a forked child whose parent (as its memory still says) is @parent: what its page at wipe_addr holds from now on, the address of
 * its struct wire_proc; 0: it is not traced. */
uint64_t rt_child_enter(struct wire_shm *, struct wire_proc *parent);
/* At a USDT site, with all general registers, rsp and rip known: the arguments whose bits (0 to 9) are set in @mask
 * to tool_args and args_bad.  Or one of them; where it cannot be read, a fault and 0. */
void rt_site_args(struct rt_ctx *, uint32_t mask);
uint64_t rt_site_arg(struct rt_ctx *, uint64_t n);

uint64_t rt_env(struct rt_ctx *, uint32_t env /* enum wire_env */);
uint64_t rt_vfork_id(struct rt_ctx *, uint32_t env); /* pid, tid, ppid, also of a vfork() child */
uint64_t rt_vfork_id_at(const struct wire_proc *, struct wire_thread *, uint32_t env, uint64_t sp /* of the application */);
#define RT_CPU_SEGMENT 0x7b /* whose limit tells the processor: GDT_ENTRY_CPUNODE, arch/x86/include/asm/segment.h */
uint64_t rt_now_tsc(void);
uint64_t rt_tsc_to_ns(const struct wire_shm *, uint64_t tsc);

/* Characters and length of a string value; "" for anything that is none. */
const char *rt_str(struct rt_ctx *, uint64_t sref, uint32_t *ret_len);

/* In tools only (RT_IN_TOOL): who reads the kernel's memory for their own probes; NULL: nobody. */
struct rt_peek {
	int (*read)(void *arg, void *dst, uint64_t addr, uint64_t bytes); /* 0, or negative: it cannot be read */
	uint64_t (*task)(void *arg); /* of this thread */
	void *arg;
};
void rt_peek_set(const struct rt_peek *);
int rt_peek_read(void *dst, uint64_t addr, uint64_t bytes);
uint64_t rt_peek_task(void);

/* Copies from the process's memory, never faulting.  0, or -1 if any byte is
 * not readable (then *dst is undefined).  Two implementations: one per
 * build. */
int rt_mem_read(struct rt_ctx *, void *dst, uint64_t addr, uint64_t bytes);

/* Walks the user stack of ctx->regs: stores at most @max return addresses,
 * the probed pc first (NULL: only counts); returns their number. */
uint32_t rt_stack_walk(struct rt_ctx *, uint64_t *ret_pcs, uint32_t max);

/* All helpers by id, for the interpreter and for the table of addresses that
 * the agent exports to the generator.  Called with unused arguments zero. */
extern rt_helper_fn *const rt_helpers[];

/* ---- reading what rt wrote (tools only; nothing in it is trusted) ---- */

/* Walks the aggregation entries of one thread area, which may change
 * meanwhile.  @cb gets the key bytes (fixed part and tail as in struct
 * wire_tuple.data; 0 bytes: no key), the generation and the value words:
 * pointers into the area, whose lengths were checked and whose contents can
 * change until they are copied.  Nonzero from @cb ends the walk and is returned. */
typedef int rt_agg_cb(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key,
		      uint32_t key_bytes, const uint64_t *val, uint32_t val_cnt);
int rt_agg_walk(const struct wire_shm *geometry, const void *thread_area, const struct wire_agg *aggs,
		uint32_t agg_cnt, rt_agg_cb *cb, void *arg);
/* Bucket of llquantize for @val, and how many words it has; shared with the printer. */
uint32_t rt_agg_llq_bucket(const struct wire_agg *, int64_t val);

#endif

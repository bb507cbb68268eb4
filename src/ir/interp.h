/* SPDX-License-Identifier: MIT */
/* The reference interpreter: runs verified programs in this process, over an
 * rt_ctx.  It defines what every other executor must do. */
#ifndef IR_INTERP_H
#define IR_INTERP_H

#include "ir/ir.h"
#include "rt/rt.h"

/* Runs one program in @ctx (after rt_enter).  A fault has been turned into an
 * ERROR record when this returns. 0, or 1 if the program faulted. */
int ir_interp_run(const struct ir_prog *, struct rt_ctx *ctx);
/* The programs of one firing in order; a fault ends only its own program. Those
 * behind one that calls exit() do not run; if exit() was called before (END),
 * all do. Returns the number of programs that faulted. */
int ir_interp_run_all(struct rt_ctx *ctx, const struct ir_prog *const *progs, uint32_t prog_cnt);

/* Fires a site of the tool's own: enters thread slot 0, runs @progs as above,
 * leaves. Returns the number of programs that faulted, or -1 where no level was
 * free. The slot is LIVE and its ring has no record open (who makes the shared
 * memory sees to it). @tool_args: arg0..9 or NULL. Whether a probe may fire at all (armed,
 * enabled, exiting) is the caller's to know. */
int ir_interp_fire(struct wire_shm *, const struct wire_site *, const struct ir_prog *const *progs,
		   uint32_t prog_cnt, const uint64_t tool_args[10]);
/* The same; @on_fault is called at once after each program that faulted, and
 * may fire another site (ERROR), also one that calls exit(). */
typedef void ir_fault_fn(void *arg, uint32_t clause, const struct wire_rec_error *);
int ir_interp_fire_hooked(struct wire_shm *, const struct wire_site *, const struct ir_prog *const *progs,
			  uint32_t prog_cnt, const uint64_t tool_args[10], ir_fault_fn *on_fault, void *arg);

#endif

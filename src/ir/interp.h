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

/* Fires a site of the tool's own: enters thread slot 0, runs @progs in order
 * (each fault ends only its own program), leaves. Returns the number of
 * programs that faulted, or -1 where no level was free. @tool_args: arg0..9 or NULL. */
int ir_interp_fire(struct wire_shm *, const struct wire_site *, const struct ir_prog *const *progs,
		   uint32_t prog_cnt, const uint64_t tool_args[10]);

#endif

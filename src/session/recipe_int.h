/* SPDX-License-Identifier: MIT */
/* Private to recipes: instructions that make a probe's arguments, as they are put together. */
#ifndef SESSION_RECIPE_INT_H
#define SESSION_RECIPE_INT_H

#include "session/kern_int.h"

#include "kern/kern.h"

#define RECIPE_ARGS 10
#define RECIPE_RAW UINT32_MAX       /* the argument is what the place gives */
#define PRELUDE_MAX 160

struct make {
	struct ir_insn v[PRELUDE_MAX];
	uint32_t cnt;
	uint64_t args[96];
	uint32_t arg_cnt, arg_base; /* behind those of the clause */
	uint32_t vreg;
	uint32_t val[RECIPE_ARGS];   /* registers, or RECIPE_RAW */
	uint32_t zero;               /* a register; RECIPE_RAW: none yet */
	bool failed;                 /* a member that this kernel's structures lack */
};

/* Each returns the register that it sets (make_put: the instruction's number). */
uint32_t make_put(struct make *m, enum ir_op op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm);
uint32_t make_op(struct make *m, enum ir_op op, uint32_t a, uint32_t b);
uint32_t make_const(struct make *m, int64_t v);
uint32_t make_arg(struct make *m, int64_t n);
uint32_t make_env(struct make *m, enum wire_env what);
uint32_t make_call(struct make *m, enum ir_helper h, const uint64_t *args, uint32_t cnt);
uint32_t make_zero(struct make *m);
/* A member of a structure of the kernel at the address in @base. */
uint32_t make_member(struct make *m, uint32_t base, const char *tag, const char *path, uint32_t bytes);
/* The probe fires only if @v is not zero: the target is filled in when the program is whole. */
void make_only_if(struct make *m, uint32_t v);
void make_only_leader(struct make *m);  /* ... only in the first thread of a process */
uint32_t make_bytes(struct make *m, uint32_t base, int64_t off, uint32_t bytes);
uint32_t make_is(struct make *m, uint32_t v, int64_t what);

void recipe_net(struct make *, enum probe_kern_recipe);  /* ip, tcp, udp */
void recipe_lock(struct make *, enum probe_kern_recipe); /* lockstat */
void recipe_task(struct make *, enum probe_kern_recipe); /* proc, sched, io */

#endif

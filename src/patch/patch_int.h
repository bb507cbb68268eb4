/* SPDX-License-Identifier: MIT */
#ifndef PATCH_PATCH_INT_H
#define PATCH_PATCH_INT_H

#include "patch/patch.h"

#define CODE_NONE UINT32_MAX
#define JMP_BYTES 5
#define SHORT_BYTES 2

/* One instruction of a function. */
struct code_insn {
	uint32_t off;
	bool bad;    /* bytes that are no instruction: one byte of them */
	bool start;  /* something jumps here */
	bool split;  /* something jumps into its middle */
	bool foreign; /* something else than a direct branch of the function's own jumps here, or might */
	bool pad;    /* nothing gets here: padding */
	struct isa_insn in;
};

/* A function decoded from end to end, the padding behind it included. */
struct code {
	const struct patch_func *f;
	struct code_insn *insn;
	uint32_t cnt;      /* with padding behind the function */
	uint32_t func_cnt; /* without */
	uint32_t *at;      /* by offset in f->bytes: instruction that begins there, or CODE_NONE */
	int32_t *depth;    /* by instruction: bytes pushed since the entry, or DEPTH_*; NULL until asked for */
	uint64_t *tables;  /* addresses of the jump tables found */
	uint32_t table_cnt;
	bool has_std;       /* the direction flag may be set inside */
	bool has_below;     /* something in it lies below the stack pointer: there is a red zone in use */
	bool has_popf;      /* it gives flags back that it saved: its caller wants them */
	bool own_known;     /* what is marked from now on is of others */
	bool unknown_jumps; /* a dispatch, and no table that it could use */
};

/* Decodes and finds everything that is jumped to. -ENOMEM; then there is nothing to deinit. */
int code_init(struct code *, const struct patch_func *);
void code_deinit(struct code *);
static inline bool code_inside(const struct patch_func *f, uint64_t addr)
{
	return addr - f->addr < f->bytes;
}
bool code_in_frag(const struct patch_func *, uint64_t addr);
/* Instruction that begins at @addr, or CODE_NONE. */
uint32_t code_at(const struct code *, uint64_t addr);
/* Something jumps to @addr (if it is inside). */
void code_mark(struct code *, uint64_t addr);
/* Whether control cannot go on behind the instruction. */
static inline bool code_ends(const struct isa_insn *in)
{
	return in->flow == ISA_JMP || in->flow == ISA_JMP_IND || in->flow == ISA_RET ||
	       (in->flow == ISA_TRAP && in->op != ISA_OP_INT3);
}
static inline const uint8_t *code_bytes(const struct code *c, uint32_t i)
{
	return c->f->code + c->insn[i].off;
}

/* text.c: whether an instruction may begin at text[i], of which what is before is text too. */
bool text_may_begin(const uint8_t *text, size_t bytes, size_t i);

/* tables.c: jump tables that the function and its frags refer to; marks what they point to. */
int tables_find(struct code *);
/* Whether what may be a table at @table leads behind the start of the function and into its first @win bytes. */
bool tables_may_enter(const struct patch_func *, uint64_t table, uint32_t win);
/* Whether an indirect jump stays in the function (a switch or a computed goto). */
bool tables_is_dispatch(struct code *, uint32_t i);

/* depth.c */
#define DEPTH_UNSEEN (-1)
#define DEPTH_UNKNOWN (-2)
int depth_find(struct code *);

/* growth.c: whether jump @i to the start (with nothing on the stack) begins the function again, because it called
 * for a bigger stack; c->depth is known. */
bool growth_restarts(const struct code *, uint32_t i);

/* emit.c: upper bound of what the instructions and their probes need. @as_is: patch_window.moves_as_is. */
uint32_t emit_bound(const struct code *, uint32_t first, uint32_t end, uint32_t anchor_cnt, uint32_t source_cnt, bool as_is);

/* plan.c and holes.c: windows as ranges of instructions [a, b). */
struct span {
	uint32_t a, b;
	uint32_t holes;     /* of others, in its tail */
	uint8_t form;       /* enum patch_form */
	uint32_t hole_off;  /* PATCH_HOLE: from the function's start */
	uint32_t borrowed;  /* its hole is number borrowed - 1 of the neighbours'; 0: its own */
};
struct plan {
	struct code code;
	struct span *span;
	uint32_t cnt;
	uint64_t *pad_used; /* bit per byte of code and slack: taken by a hole in padding */
};
static inline uint32_t span_start(const struct plan *p, const struct span *s)
{
	return p->code.insn[s->a].off;
}
static inline uint32_t span_end(const struct plan *p, const struct span *s)
{
	return p->code.insn[s->b - 1].off + p->code.insn[s->b - 1].in.len;
}
/* Whether [a, b) can be displaced; otherwise why not. */
enum patch_refusal window_check(const struct code *, uint32_t a, uint32_t b);
uint32_t window_bytes(const struct code *, uint32_t a, uint32_t b);
/* Whether [a, b) meets a window that is planned already. */
bool plan_overlaps(const struct plan *, uint32_t a, uint32_t b);
/* Adds a short window for instruction @k with a hole within reach. Its index, or CODE_NONE. */
uint32_t holes_place(struct plan *, uint32_t k);
/* Whether padding in [a, b) is a hole already. */
bool holes_in(const struct plan *, uint32_t a, uint32_t b);
/* Makes the host for @l. */
void holes_lend(struct plan *, struct patch_lend *l);
/* What is planned for @s, as bytes. */
void plan_window(const struct plan *, const struct span *s, uint32_t anchor_cnt, uint32_t source_cnt, struct patch_window *ret);
/* What instruction @in means for who asks whether the flags before it are wanted; ON: nothing, jumps and traps are the caller's. */
enum plan_flags { PLAN_FLAGS_ON, PLAN_FLAGS_LIVE, PLAN_FLAGS_DEAD };
enum plan_flags plan_flags_step(const struct isa_insn *in, bool entry);
/* A window of 5 bytes over instruction @k that does not begin behind it. */
enum patch_refusal plan_forward(struct plan *, uint32_t k);
/* Windows for all that leads to the ret @k, or none: false. */
bool sources_place(struct plan *, uint32_t k);
/* How often probes of anchors that are reached so stand in the window. */
uint32_t sources_in(const struct plan *, const struct span *, const struct patch_anchor *, uint32_t cnt);
/* Adds a pun in the place of instruction @k. Its index, or CODE_NONE. */
uint32_t puns_place(struct plan *, uint32_t k);

#endif

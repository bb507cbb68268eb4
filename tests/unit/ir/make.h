/* SPDX-License-Identifier: MIT */
/* Short words to write programs with, for the tests of this folder. */
#ifndef TESTS_IR_MAKE_H
#define TESTS_IR_MAKE_H

#include "ir/ir.h"

#include "../tap.h"

#define NO WIRE_NONE

/* An image in which one program is being built. */
struct make {
	struct ir_builder *b;
	struct ir_image img;
	struct ir_prog prog;
};

static inline void make_init(struct make *m)
{
	static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_QUANTIZE, .val_cnt = 127 } };
	*m = (struct make){ .b = ir_builder_create(0) };
	m->img = (struct ir_image){ .prog_cnt = 1, .aggs = aggs, .agg_cnt = 2, .dynvar_cnt = 3, .global_bytes = 128,
		.self_bytes = 64, .this_bytes = 16, .strsize = 20 };
	ir_scratch(m->b, 16);
}

static inline void make_finish(struct make *m)
{
	CHECK_EQ(ir_builder_finish(m->b, &m->prog), 0);
	m->img.progs = &m->prog;
}

static inline void make_deinit(struct make *m)
{
	ir_builder_destroy(m->b);
	ir_prog_deinit(&m->prog);
}

static inline uint32_t konst(struct make *m, int64_t v)
{
	uint32_t r = ir_vreg(m->b);
	ir_emit(m->b, IR_OP_CONST, r, NO, NO, v, 0);
	return r;
}

static inline uint32_t op2(struct make *m, enum ir_op op, uint32_t a, uint32_t b)
{
	uint32_t r = ir_vreg(m->b);
	ir_emit(m->b, op, r, a, b, 0, 0);
	return r;
}

/* A branch whose target is patched by land(). */
static inline uint32_t branch(struct make *m, enum ir_op op, uint32_t a)
{
	return ir_emit(m->b, op, NO, a, NO, 0, 0);
}
static inline void land(struct make *m, uint32_t insn)
{
	ir_patch_target(m->b, insn, ir_here(m->b));
}

static inline void ret(struct make *m)
{
	ir_emit(m->b, IR_OP_RET, NO, NO, NO, 0, 0);
}

#define CALL(m, h, dst, ...) ir_emit_call((m)->b, IR_HELPER_##h, dst, (const uint64_t[]){ __VA_ARGS__ }, \
	sizeof((uint64_t[]){ __VA_ARGS__ }) / 8)

/* The text that @print writes; free it. */
static inline char *prog_text(const struct ir_prog *p)
{
	static char *s; /* static: gcc takes the text for its address otherwise */
	static size_t n;
	FILE *f = open_memstream(&s, &n);
	ir_prog_print(f, p);
	fclose(f);
	return s;
}

#endif

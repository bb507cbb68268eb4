/* SPDX-License-Identifier: MIT */
/* Instructions of recipes. */
#include "session/recipe_int.h"

uint32_t make_put(struct make *m, enum ir_op op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm)
{
	if (m->cnt == PRELUDE_MAX) {
		m->failed = true;
		return 0;
	}
	m->v[m->cnt] = (struct ir_insn){ .op = (uint16_t)op, .dst = dst, .a = a, .b = b, .imm = imm };
	return m->cnt++;
}

uint32_t make_op(struct make *m, enum ir_op op, uint32_t a, uint32_t b)
{
	make_put(m, op, m->vreg, a, b, 0);
	return m->vreg++;
}

uint32_t make_const(struct make *m, int64_t v)
{
	make_put(m, IR_OP_CONST, m->vreg, WIRE_NONE, WIRE_NONE, v);
	return m->vreg++;
}

uint32_t make_arg(struct make *m, int64_t n)
{
	make_put(m, IR_OP_ARG, m->vreg, WIRE_NONE, WIRE_NONE, n);
	return m->vreg++;
}

uint32_t make_env(struct make *m, enum wire_env what)
{
	make_put(m, IR_OP_ENV, m->vreg, WIRE_NONE, WIRE_NONE, what);
	return m->vreg++;
}

uint32_t make_call(struct make *m, enum ir_helper h, const uint64_t *args, uint32_t cnt)
{
	if (m->arg_cnt + cnt > ARRAY_CNT(m->args)) {
		m->failed = true;
		return 0;
	}
	for (uint32_t i = 0; i < cnt; i++)
		m->args[m->arg_cnt + i] = args[i];
	make_put(m, IR_OP_CALL, m->vreg, m->arg_base + m->arg_cnt, cnt, h);
	m->arg_cnt += cnt;
	return m->vreg++;
}

uint32_t make_zero(struct make *m)
{
	if (m->zero == RECIPE_RAW)
		m->zero = make_const(m, 0);
	return m->zero;
}

uint32_t make_member(struct make *m, uint32_t base, const char *tag, const char *path, uint32_t bytes)
{
	int64_t off = kern_offsetof(tag, path);
	m->failed |= off < 0;
	uint64_t args[] = { make_op(m, IR_OP_ADD, base, make_const(m, off)), bytes, 1 };
	return make_call(m, IR_HELPER_copyin_u, args, 3);
}

void make_only_if(struct make *m, uint32_t v)
{
	make_put(m, IR_OP_BRZ, WIRE_NONE, v, WIRE_NONE, INT64_MAX);
}

void make_only_leader(struct make *m)
{
	make_only_if(m, make_op(m, IR_OP_SEQ, make_env(m, WIRE_ENV_PID), make_env(m, WIRE_ENV_TID)));
}

uint32_t make_bytes(struct make *m, uint32_t base, int64_t off, uint32_t bytes)
{
	uint64_t args[] = { make_op(m, IR_OP_ADD, base, make_const(m, off)), bytes, 0 };
	return make_call(m, IR_HELPER_copyin_u, args, 3);
}

uint32_t make_is(struct make *m, uint32_t v, int64_t what) { return make_op(m, IR_OP_SEQ, v, make_const(m, what)); }

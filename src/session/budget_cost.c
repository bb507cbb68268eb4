/* SPDX-License-Identifier: MIT */
/* What a hit takes, before anything was measured, and whether one may stand for others. */
#include "session/budget_int.h"

/* What others of these programs see, or somebody else does, is not done for one of W hits.  Values may be read. */
static bool is_harmless(enum ir_helper h)
{
	switch (h) {
	case IR_HELPER_copyin_u: case IR_HELPER_copyinstr: case IR_HELPER_copyin: case IR_HELPER_copyinto: case IR_HELPER_alloca:
	case IR_HELPER_bcopy: case IR_HELPER_str_addr: case IR_HELPER_str_cmp: case IR_HELPER_str_copy: case IR_HELPER_strlen:
	case IR_HELPER_strjoin: case IR_HELPER_substr: case IR_HELPER_strchr: case IR_HELPER_strrchr: case IR_HELPER_strstr:
	case IR_HELPER_strrstr: case IR_HELPER_index: case IR_HELPER_rindex: case IR_HELPER_lltostr: case IR_HELPER_strtoll:
	case IR_HELPER_basename: case IR_HELPER_dirname: case IR_HELPER_rand: case IR_HELPER_str_index: case IR_HELPER_str_plus:
	case IR_HELPER_cleanpath: case IR_HELPER_inet_ntoa: case IR_HELPER_inet_ntoa6: case IR_HELPER_inet_ntop:
	case IR_HELPER_link_ntop: case IR_HELPER_bswap: case IR_HELPER_progenyof: case IR_HELPER_gstr_load: case IR_HELPER_tstr_load:
	case IR_HELPER_dyn_load: case IR_HELPER_dyn_str_load: case IR_HELPER_tuple_begin: case IR_HELPER_tuple_str:
	case IR_HELPER_tuple_mem: case IR_HELPER_tuple_ustack: case IR_HELPER_rec_str: case IR_HELPER_rec_mem:
	case IR_HELPER_rec_ustack: case IR_HELPER_uaddr_caller: case IR_HELPER_errno: case IR_HELPER_arg:
	case IR_HELPER_walltimestamp: case IR_HELPER_vtimestamp: case IR_HELPER_ustackdepth: case IR_HELPER_curthread:
	case IR_HELPER_xmm:
		return true;
	default:
		return false;
	}
}

static bool is_stateful(const struct ir_insn *in)
{
	return in->op == IR_OP_STT || in->op == IR_OP_STG || (in->op == IR_OP_CALL && !is_harmless((enum ir_helper)in->imm));
}

/* About twice what body_cost measures: there nothing else wants the caches, or waits for a processor's units. */
#define BASE_NS 2.0F
#define CLOCK_NS 17.0F
#define CONTEXT_NS 40.0F

static float insn_ns(const struct ir_insn *in)
{
	switch ((enum ir_op)in->op) {
	case IR_OP_AGG:
		return in->aux == IR_NO_TUPLE ? 2 : 6;
	case IR_OP_REC:
		return 6 + CLOCK_NS;
	case IR_OP_ENV:
		return in->imm == WIRE_ENV_TIMESTAMP || in->imm == WIRE_ENV_WALLTIMESTAMP ? CLOCK_NS : 0.3F;
	case IR_OP_CALL:
		return in->imm == IR_HELPER_tuple_begin ? 0.3F :
		       in->imm == IR_HELPER_tuple_ustack || in->imm == IR_HELPER_rec_ustack ? 90 : CONTEXT_NS;
	default:
		return 0.3F;
	}
}

struct budget_cost budget_cost_of(const struct ir_image *img, const uint32_t *progs, uint32_t cnt)
{
	struct budget_cost c = { .hit_ns = BASE_NS, .stateless = true };
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t j = 0; j < img->progs[progs[i]].insn_cnt; j++) {
			c.hit_ns += insn_ns(&img->progs[progs[i]].insns[j]);
			c.stateless &= !is_stateful(&img->progs[progs[i]].insns[j]);
		}
	return c;
}

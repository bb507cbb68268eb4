/* SPDX-License-Identifier: MIT */
#include "gen.h"
#include "mkshm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAX 64
#define DEPTH_MAX 4
#define GLOBAL_BYTES 256u
#define SELF_BYTES 192u
#define THIS_BYTES 64u
#define DYNVARS 4u
#define DYN_MEM DYNVARS /* one more: its elements are structures */
#define ELEMENT 16u

struct gen {
	uint64_t rng;
	unsigned flags;
	struct ir_image *img;
	struct ir_builder *b;
	uint32_t ints[POOL_MAX], strs[POOL_MAX]; /* registers that are set here */
	uint32_t int_cnt, str_cnt;
	uint32_t plain;     /* scratch that nothing but loads and stores use; of GEN_QUICK: a key */
	uint32_t key_words; /* GEN_QUICK: of that key */
	bool site_keys;     /* GEN_QUICK: the site alone decides it */
	uint32_t str_slots[4]; /* destinations of strings */
	uint32_t budget;    /* statements left */
	uint32_t rec_fixed; /* of the open record; 0: none */
	bool rec_done;
	unsigned depth;
};

#define PLAIN_BYTES 128u
#define QUICK_THIS_BYTES 16u

uint64_t gen_rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint32_t below(struct gen *g, uint32_t n)
{
	return (uint32_t)(gen_rnd(&g->rng) % n);
}

/* ---- registers ---- */

static void add_int(struct gen *g, uint32_t v)
{
	if (g->int_cnt < POOL_MAX)
		g->ints[g->int_cnt++] = v;
}

static void add_str(struct gen *g, uint32_t v)
{
	if (g->str_cnt < POOL_MAX)
		g->strs[g->str_cnt++] = v;
}

static uint32_t emit_const(struct gen *g, int64_t imm)
{
	uint32_t v = ir_vreg(g->b);
	ir_emit(g->b, IR_OP_CONST, v, WIRE_NONE, WIRE_NONE, imm, 0);
	return v;
}

static int64_t odd_number(struct gen *g)
{
	static const int64_t odd[] = { 0, 1, -1, 2, 7, 8, 63, 64, 127, 128, 255, 256, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX,
		INT64_MIN, INT64_MIN + 1, 0x123456789abcdef0, -1000 };
	if (below(g, 4))
		return odd[below(g, ARRAY_CNT(odd))];
	return (int64_t)(gen_rnd(&g->rng) >> below(g, 64));
}

static uint32_t new_const(struct gen *g)
{
	uint32_t v = emit_const(g, odd_number(g));
	add_int(g, v);
	return v;
}

static uint32_t any_int(struct gen *g)
{
	if (!g->int_cnt || !below(g, 8))
		return new_const(g);
	return g->ints[below(g, g->int_cnt)];
}

/* Mostly a string; sometimes a number that may look like one. */
static uint32_t any_str(struct gen *g)
{
	if (!below(g, 10)) { /* forged; NULL faults */
		uint32_t v = ir_vreg(g->b);
		ir_emit(g->b, IR_OP_OR, v, any_int(g), emit_const(g, !(g->flags & GEN_FAULTS)), 0, 0);
		return v;
	}
	return g->strs[below(g, g->str_cnt)];
}

/* A register to set: new, or one that has a value already. */
static uint32_t dst_int(struct gen *g)
{
	if (g->int_cnt && !below(g, 3))
		return g->ints[below(g, g->int_cnt)];
	uint32_t v = ir_vreg(g->b);
	return v;
}

/* Notes @v as set from here on. */
static void was_set(struct gen *g, uint32_t v)
{
	for (uint32_t i = 0; i < g->int_cnt; i++)
		if (g->ints[i] == v)
			return;
	add_int(g, v);
}

/* ---- statements ---- */

static void gen_alu(struct gen *g)
{
	static const enum ir_op ops[] = { IR_OP_ADD, IR_OP_SUB, IR_OP_MUL, IR_OP_AND, IR_OP_OR, IR_OP_XOR, IR_OP_SHL, IR_OP_SHR,
		IR_OP_SAR, IR_OP_SEQ, IR_OP_SNE, IR_OP_SLT, IR_OP_SLE, IR_OP_SULT, IR_OP_SULE };
	uint32_t a = any_int(g), b = any_int(g), d = dst_int(g);
	ir_emit(g->b, ops[below(g, ARRAY_CNT(ops))], d, a, b, 0, 0);
	was_set(g, d);
}

static void gen_unary(struct gen *g)
{
	static const enum ir_op ops[] = { IR_OP_MOV, IR_OP_NEG, IR_OP_NOT };
	static const uint16_t widths[] = { 8, 16, 32 };
	uint32_t a = any_int(g), d = dst_int(g);
	if (below(g, 2))
		ir_emit(g->b, IR_OP_EXT, d, a, WIRE_NONE, 0, (uint16_t)(widths[below(g, 3)] | (below(g, 2) ? IR_SIGNED : 0)));
	else
		ir_emit(g->b, ops[below(g, ARRAY_CNT(ops))], d, a, WIRE_NONE, 0, 0);
	was_set(g, d);
}

static void gen_div(struct gen *g)
{
	static const enum ir_op ops[] = { IR_OP_SDIV, IR_OP_UDIV, IR_OP_SREM, IR_OP_UREM };
	uint32_t a = any_int(g), b, d = dst_int(g);
	if (g->flags & GEN_QUICK) {
		b = emit_const(g, 1 + below(g, 20) - 30 * (int64_t)below(g, 2));
	} else if (g->flags & GEN_FAULTS && !below(g, 6)) {
		b = any_int(g);
	} else {
		uint32_t one = emit_const(g, 1);
		b = ir_vreg(g->b);
		ir_emit(g->b, IR_OP_OR, b, any_int(g), one, 0, 0);
	}
	ir_emit(g->b, ops[below(g, 4)], d, a, b, 0, 0);
	was_set(g, d);
}

/* Offset of an access of *ret_bytes in @area bytes from @base. */
static int64_t place(struct gen *g, uint32_t base, uint32_t area, uint16_t *ret_bytes)
{
	*ret_bytes = (uint16_t)(1u << below(g, 4));
	return base + below(g, area / *ret_bytes) * *ret_bytes;
}

static void gen_load(struct gen *g)
{
	uint16_t bytes;
	uint32_t d = dst_int(g), kind = below(g, 3);
	int64_t at = kind == 0 ? g->flags & GEN_QUICK ? place(g, 0, QUICK_THIS_BYTES, &bytes) : place(g, g->plain, PLAIN_BYTES, &bytes) :
		     kind == 1 ? place(g, 0, GLOBAL_BYTES, &bytes) : place(g, 0, SELF_BYTES, &bytes);
	enum ir_op op = kind == 0 ? IR_OP_LDS : kind == 1 ? IR_OP_LDG : IR_OP_LDT;
	ir_emit(g->b, op, d, WIRE_NONE, WIRE_NONE, at, (uint16_t)(bytes | (below(g, 2) ? IR_SIGNED : 0)));
	was_set(g, d);
}

static void gen_store(struct gen *g)
{
	uint16_t bytes;
	uint32_t a = any_int(g), kind = g->flags & GEN_QUICK ? 1 + below(g, 3) : below(g, 4);
	uint32_t this_bytes = g->flags & GEN_QUICK ? QUICK_THIS_BYTES : THIS_BYTES;
	int64_t at = kind == 0 ? place(g, g->plain, PLAIN_BYTES, &bytes) : kind == 1 ? place(g, 0, this_bytes, &bytes) :
		     kind == 2 ? place(g, 0, GLOBAL_BYTES, &bytes) : place(g, 0, SELF_BYTES, &bytes);
	enum ir_op op = kind < 2 ? IR_OP_STS : kind == 2 ? IR_OP_STG : IR_OP_STT;
	ir_emit(g->b, op, WIRE_NONE, a, WIRE_NONE, at, bytes);
}

static void gen_input(struct gen *g)
{
	static const enum wire_env envs[] = { WIRE_ENV_PROBEID, WIRE_ENV_CLAUSE, WIRE_ENV_RET_OFFSET, WIRE_ENV_PID, WIRE_ENV_UID, WIRE_ENV_PPID,
		WIRE_ENV_WEIGHT, WIRE_ENV_AT_JUMP /* last: no quick body has it */ };
	static const enum wire_env strs[] = { WIRE_ENV_EXECNAME, WIRE_ENV_PSARGS, WIRE_ENV_PROBEPROV, WIRE_ENV_PROBEMOD, WIRE_ENV_PROBEFUNC, WIRE_ENV_PROBENAME };
	uint32_t d = ir_vreg(g->b);
	switch (g->flags & GEN_QUICK ? 2 + below(g, 3) : below(g, 4)) {
	case 4:
		ir_emit(g->b, IR_OP_ARG, d, WIRE_NONE, WIRE_NONE, 1 + below(g, 5), 0);
		break;
	case 0:
		ir_emit(g->b, IR_OP_ARG, d, WIRE_NONE, WIRE_NONE, below(g, 6), 0);
		break;
	case 1:
		ir_emit(g->b, IR_OP_UREG, d, WIRE_NONE, WIRE_NONE, below(g, WIRE_REG_CNT), 0);
		break;
	case 2:
		ir_emit(g->b, IR_OP_ENV, d, WIRE_NONE, WIRE_NONE, envs[below(g, ARRAY_CNT(envs) - !!(g->flags & GEN_QUICK))], 0);
		break;
	default:
		ir_emit(g->b, IR_OP_ENV, d, WIRE_NONE, WIRE_NONE, strs[below(g, ARRAY_CNT(strs))], 0);
		add_str(g, d);
		return;
	}
	add_int(g, d);
}

static uint32_t slot(struct gen *g)
{
	return g->str_slots[below(g, ARRAY_CNT(g->str_slots))];
}

/* What was not found is NULL, and faults where it is used. */
static uint32_t never_null(struct gen *g, uint32_t s)
{
	uint32_t v = ir_vreg(g->b);
	ir_emit(g->b, IR_OP_MOV, v, s, WIRE_NONE, 0, 0);
	uint32_t ok = ir_emit(g->b, IR_OP_BRNZ, WIRE_NONE, s, WIRE_NONE, 0, 0);
	ir_emit(g->b, IR_OP_CONST, v, WIRE_NONE, WIRE_NONE, (int64_t)WIRE_SREF(WIRE_SREF_INTERN, 0), 0);
	ir_patch_target(g->b, ok, ir_here(g->b));
	return v;
}

static void call(struct gen *g, enum ir_helper h, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	const struct ir_helper_desc *d = ir_helper(h);
	const uint64_t args[4] = { a0, a1, a2, a3 };
	uint32_t dst = d->result == 'v' || !below(g, 12) ? WIRE_NONE : ir_vreg(g->b);
	ir_emit_call(g->b, h, dst, args, (uint32_t)strlen(d->args));
	if (dst == WIRE_NONE)
		return;
	if (d->result == 's')
		add_str(g, g->flags & GEN_FAULTS ? dst : never_null(g, dst));
	else
		add_int(g, dst);
}

static uint32_t small_int(struct gen *g)
{
	return below(g, 4) ? emit_const(g, (int64_t)below(g, 40) - 5) : any_int(g);
}

static void gen_str_call(struct gen *g)
{
	uint32_t s = any_str(g), t = any_str(g), base;
	switch (below(g, g->flags & GEN_FAULTS ? 21 : 20)) {
	case 0: call(g, IR_HELPER_str_cmp, s, t, 0, 0); break;
	case 1: call(g, IR_HELPER_str_copy, s, slot(g), 0, 0); break;
	case 2: call(g, IR_HELPER_strlen, s, 0, 0, 0); break;
	case 3: call(g, IR_HELPER_strjoin, s, t, slot(g), 0); break;
	case 4: call(g, IR_HELPER_substr, s, small_int(g), small_int(g), slot(g)); break;
	case 5: call(g, IR_HELPER_strchr, s, emit_const(g, 'a' + below(g, 26)), slot(g), 0); break;
	case 6: call(g, IR_HELPER_strrchr, s, emit_const(g, 'a' + below(g, 26)), slot(g), 0); break;
	case 7: call(g, below(g, 2) ? IR_HELPER_strstr : IR_HELPER_strrstr, s, t, slot(g), 0); break;
	case 8: call(g, IR_HELPER_index, s, t, small_int(g), 0); break;
	case 9: call(g, IR_HELPER_rindex, s, t, small_int(g), 0); break;
	case 10:
		base = below(g, 2) ? emit_const(g, 10) : emit_const(g, 2 + below(g, 35));
		call(g, IR_HELPER_lltostr, any_int(g), base, slot(g), 0);
		break;
	case 11: call(g, IR_HELPER_strtoll, s, emit_const(g, 2 + below(g, 35)), 0, 0); break;
	case 12: call(g, IR_HELPER_basename, s, slot(g), 0, 0); break;
	case 13: call(g, IR_HELPER_dirname, s, slot(g), 0, 0); break;
	case 14: call(g, IR_HELPER_str_index, s, small_int(g), 0, 0); break;
	case 15: call(g, IR_HELPER_strtok, s, t, 8 * below(g, 12), slot(g)); break;
	case 16: call(g, IR_HELPER_cleanpath, s, slot(g), 0, 0); break;
	case 17: call(g, IR_HELPER_gstr_store, 8 * below(g, 20), s, 0, 0); break;
	case 18: call(g, IR_HELPER_str_plus, s, small_int(g), slot(g), 0); break;
	case 20: call(g, IR_HELPER_kpath, emit_const(g, below(g, 4096)), below(g, 2), slot(g), 0); break; /* a fault, always */
	default: call(g, IR_HELPER_tstr_load, 8 * below(g, 12), slot(g), 0, 0); break;
	}
}

/* An address that can be read: argument 1 is one at all kinds of site (see exec.h). */
static uint32_t address(struct gen *g)
{
	if (g->flags & GEN_FAULTS && !below(g, 10))
		return any_int(g);
	uint32_t base = ir_vreg(g->b), v = ir_vreg(g->b);
	ir_emit(g->b, IR_OP_ARG, base, WIRE_NONE, WIRE_NONE, 1, 0);
	ir_emit(g->b, IR_OP_ADD, v, base, emit_const(g, below(g, 64)), 0, 0);
	return v;
}

/* @bytes of variables somewhere. The address stays out of the pool. */
static uint32_t var_place(struct gen *g, uint32_t bytes)
{
	static const uint32_t areas[] = { GLOBAL_BYTES, SELF_BYTES, THIS_BYTES };
	uint32_t area = below(g, 3), a = ir_vreg(g->b);
	if (areas[area] < bytes)
		area = WIRE_AREA_GLOBAL;
	ir_emit_call(g->b, IR_HELPER_var_addr, a, (const uint64_t[]){ area, 8 * below(g, (areas[area] - bytes) / 8 + 1) }, 2);
	return a;
}

static void gen_var_call(struct gen *g)
{
	uint32_t a = var_place(g, 32), bytes = below(g, 33), str = wire_str_bytes(g->img->strsize);
	switch (below(g, 4)) {
	case 0: call(g, IR_HELPER_var_copy, address(g), a, bytes, 0); break;
	case 1: call(g, IR_HELPER_var_zero, a, bytes, 0, 0); break;
	case 2:
		call(g, IR_HELPER_poke, a, any_int(g), 1u << below(g, 4), 0);
		break;
	default: /* no room would be a fault with an address in it */
		if (str <= GLOBAL_BYTES)
			call(g, IR_HELPER_var_str_store, var_place(g, str), any_str(g), 0, 0);
		if (str <= GLOBAL_BYTES)
			call(g, IR_HELPER_var_str_load, var_place(g, str), slot(g), 0, 0);
		break;
	}
	call(g, IR_HELPER_copyin_u, a, 8, 0, 0);
}

static void gen_mem_call(struct gen *g)
{
	uint32_t a;
	switch (below(g, 6)) {
	case 5:
		gen_var_call(g);
		break;
	case 0:
		call(g, IR_HELPER_copyin_u, address(g), 1u << below(g, 4), below(g, 2), 0);
		break;
	case 1:
		call(g, IR_HELPER_copyinstr, address(g), emit_const(g, below(g, 30)), slot(g), 0);
		break;
	case 2: /* its address stays out of the pool: near it lies the context, which executors fill differently */
		a = ir_vreg(g->b);
		ir_emit_call(g->b, IR_HELPER_copyin, a, (const uint64_t[]){ address(g), emit_const(g, 8 + below(g, 16)) }, 2);
		call(g, IR_HELPER_copyin_u, a, 8, 0, 0);
		break;
	case 3:
		a = ir_vreg(g->b);
		ir_emit_call(g->b, IR_HELPER_alloca, a, (const uint64_t[]){ emit_const(g, 8 + below(g, 24)) }, 1);
		call(g, IR_HELPER_poke, a, any_int(g), 1u << below(g, 4), 0);
		call(g, IR_HELPER_copyin_u, a, 4, 0, 0);
		break;
	default:
		a = ir_vreg(g->b);
		ir_emit_call(g->b, IR_HELPER_alloca, a, (const uint64_t[]){ emit_const(g, 32) }, 1);
		call(g, IR_HELPER_copyinto, address(g), emit_const(g, below(g, 32)), a, 0);
		call(g, IR_HELPER_copyin_u, a, 8, 0, 0);
		break;
	}
}

/* Addresses of networks, bytes in the other order, ids. */
static void gen_net_call(struct gen *g)
{
	static const uint8_t families[] = { 2, 10 }, links[] = { 1, 32 };
	switch (below(g, 6)) {
	case 0: call(g, IR_HELPER_inet_ntoa, address(g), slot(g), 0, 0); break;
	case 1: call(g, IR_HELPER_inet_ntoa6, address(g), small_int(g), slot(g), 0); break;
	case 2: call(g, IR_HELPER_inet_ntop, emit_const(g, families[below(g, 2)]), address(g), slot(g), 0); break;
	case 3: call(g, IR_HELPER_link_ntop, emit_const(g, links[below(g, 2)]), address(g), slot(g), 0); break;
	case 4: call(g, IR_HELPER_bswap, any_int(g), 2u << below(g, 3), 0, 0); break;
	default: call(g, IR_HELPER_progenyof, small_int(g), 0, 0, 0); break;
	}
}

static void gen_spec_call(struct gen *g)
{
	uint32_t id = g->flags & GEN_FAULTS ? small_int(g) : emit_const(g, below(g, MKSHM_SPEC_CNT + 1));
	switch (below(g, 4)) {
	case 0: call(g, IR_HELPER_commit, id, 0, 0, 0); break;
	case 1: call(g, IR_HELPER_discard, id, 0, 0, 0); break;
	case 2: call(g, IR_HELPER_speculate, id, below(g, 2 * MKSHM_SPEC_BYTES), 0, 0); break;
	default: call(g, IR_HELPER_speculation, 0, 0, 0, 0); break;
	}
}

/* A key of 1 to 3 fields in a slot of its own; returns the slot. */
static uint32_t gen_tuple(struct gen *g)
{
	uint32_t fields = 1 + below(g, 3), kinds[3], tails = 0;
	for (uint32_t i = 0; i < fields; i++) {
		kinds[i] = below(g, 4);
		tails += kinds[i] >= 2;
	}
	uint32_t t = ir_scratch(g->b, ir_tuple_bytes(8 * fields, tails, 0, g->img->strsize));
	call(g, IR_HELPER_tuple_begin, t, 8 * fields, 0, 0);
	for (uint32_t i = 0; i < fields; i++) {
		/* Few different values, so that keys meet again. */
		if (kinds[i] < 2) {
			uint32_t v = below(g, 2) ? any_int(g) : emit_const(g, below(g, 3));
			ir_emit(g->b, IR_OP_STS, WIRE_NONE, v, WIRE_NONE, t + 8 + 8 * i, 8);
		} else if (kinds[i] == 2) {
			call(g, IR_HELPER_tuple_str, t, 8 * i, any_str(g), 0);
		} else { /* more than strsize bytes fault */
			uint32_t most = g->img->strsize < 8 && !(g->flags & GEN_FAULTS) ? g->img->strsize : 8;
			call(g, IR_HELPER_tuple_mem, t, 8 * i, address(g), emit_const(g, below(g, most + 1)));
		}
	}
	return t;
}

static void gen_dyn_mem(struct gen *g)
{
	uint32_t t = gen_tuple(g), a = var_place(g, ELEMENT);
	uint64_t scope = below(g, 2) + 2 * ELEMENT;
	switch (below(g, 4)) {
	case 0: call(g, IR_HELPER_dyn_clear, DYN_MEM, scope, t, 0); break;
	case 1: call(g, IR_HELPER_dyn_mem_load, DYN_MEM, scope, t, a); break;
	default: call(g, IR_HELPER_dyn_mem_store, DYN_MEM, scope, t, a); break;
	}
	call(g, IR_HELPER_copyin_u, a, 8, 0, 0);
}

static void gen_dyn(struct gen *g)
{
	if (!below(g, 4)) {
		gen_dyn_mem(g);
		return;
	}
	uint32_t t = gen_tuple(g), scope = below(g, 2);
	uint64_t id = below(g, DYNVARS / 2);
	switch (below(g, 4)) {
	case 0: call(g, IR_HELPER_dyn_load, id, scope, t, 0); break;
	case 1: call(g, IR_HELPER_dyn_store, id, scope, t, any_int(g)); break;
	case 2: call(g, IR_HELPER_dyn_str_load, id + DYNVARS / 2, scope, t, slot(g)); break;
	default: call(g, IR_HELPER_dyn_str_store, id + DYNVARS / 2, scope, t, any_str(g)); break;
	}
}

static uint32_t site_value(struct gen *g)
{
	static const enum wire_env envs[] = { WIRE_ENV_PROBEPROV, WIRE_ENV_PROBEMOD, WIRE_ENV_PROBEFUNC, WIRE_ENV_PROBENAME, WIRE_ENV_PROBEID,
		WIRE_ENV_RET_OFFSET };
	uint32_t v = ir_vreg(g->b);
	ir_emit(g->b, IR_OP_ENV, v, WIRE_NONE, WIRE_NONE, envs[below(g, ARRAY_CNT(envs))], 0);
	return v;
}

static uint32_t key_value(struct gen *g)
{
	if (below(g, 2))
		return g->site_keys ? site_value(g) : any_int(g);
	return emit_const(g, below(g, 8) ? (int64_t)below(g, 3) : odd_number(g));
}

/* A key of numbers in the one slot. */
static uint32_t gen_quick_tuple(struct gen *g)
{
	call(g, IR_HELPER_tuple_begin, g->plain, 8 * g->key_words, 0, 0);
	for (uint32_t i = 0; i < g->key_words; i++)
		if (below(g, 8))
			ir_emit(g->b, IR_OP_STS, WIRE_NONE, key_value(g), WIRE_NONE, g->plain + 8 + 8 * i, 8);
	return g->plain;
}

static void gen_agg(struct gen *g)
{
	uint32_t t = !below(g, 4) ? IR_NO_TUPLE : g->flags & GEN_CALLS ? gen_tuple(g) : g->flags & GEN_QUICK ? gen_quick_tuple(g) : IR_NO_TUPLE;
	uint32_t weight = below(g, 3) ? WIRE_NONE : emit_const(g, 1 + below(g, 5));
	uint32_t v = below(g, 2) ? any_int(g) : small_int(g);
	if (t > IR_NO_TUPLE)
		t = IR_NO_TUPLE; /* a very long program: too far for AGG */
	ir_emit(g->b, IR_OP_AGG, WIRE_NONE, v, weight, below(g, g->img->agg_cnt), (uint16_t)t);
}

static void gen_block(struct gen *g, uint32_t statements);

static void gen_if(struct gen *g)
{
	uint32_t cond = any_int(g), over, ints = g->int_cnt, strs = g->str_cnt; /* set before the branch */
	uint32_t br = ir_emit(g->b, below(g, 2) ? IR_OP_BRZ : IR_OP_BRNZ, WIRE_NONE, cond, WIRE_NONE, 0, 0);
	g->depth++;
	gen_block(g, 1 + below(g, 6));
	g->int_cnt = ints;
	g->str_cnt = strs;
	if (below(g, 2)) {
		over = ir_emit(g->b, IR_OP_JMP, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
		ir_patch_target(g->b, br, ir_here(g->b));
		gen_block(g, 1 + below(g, 6));
		g->int_cnt = ints;
		g->str_cnt = strs;
		ir_patch_target(g->b, over, ir_here(g->b));
	} else {
		ir_patch_target(g->b, br, ir_here(g->b));
	}
	g->depth--;
}

static void gen_field(struct gen *g)
{
	uint32_t at = 8 * below(g, g->rec_fixed / 8);
	switch (g->flags & GEN_CALLS ? below(g, 4) : 0) {
	case 0:
	case 1:
		ir_emit(g->b, IR_OP_STR, WIRE_NONE, any_int(g), WIRE_NONE, at, 8);
		break;
	case 2:
		call(g, IR_HELPER_rec_str, at, any_str(g), 0, 0);
		break;
	default:
		call(g, IR_HELPER_rec_mem, at, address(g), emit_const(g, below(g, 40)), 24);
		break;
	}
}

static void gen_record(struct gen *g)
{
	if (g->rec_done || g->rec_fixed)
		return;
	uint32_t fixed = 8 * (1 + below(g, 5)), payload = g->flags & GEN_QUICK ? fixed : fixed + below(g, 20) * 16;
	ir_set_rec_bytes(g->b, 512);
	ir_emit(g->b, IR_OP_REC, WIRE_NONE, WIRE_NONE, WIRE_NONE, payload, (uint16_t)fixed);
	g->rec_fixed = fixed;
	gen_block(g, 1 + below(g, 10));
	g->rec_fixed = 0;
	g->rec_done = true;
	ir_emit(g->b, IR_OP_COMMIT, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
}

/* What ends the program, seldom, where a block ends inside a branch. */
static void gen_end(struct gen *g)
{
	if (g->flags & GEN_FAULTS && !below(g, 2))
		ir_emit(g->b, IR_OP_FAULT, WIRE_NONE, any_int(g), WIRE_NONE, 1 + below(g, WIRE_FAULT_CNT - 1), 0);
	else if (!g->rec_fixed)
		ir_emit(g->b, IR_OP_RET, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
}

static void gen_statement(struct gen *g)
{
	uint32_t kind = below(g, 100);
	if (kind < 25)
		gen_alu(g);
	else if (kind < 32)
		gen_unary(g);
	else if (kind < 36)
		gen_div(g);
	else if (kind < 44)
		gen_load(g);
	else if (kind < 54)
		gen_store(g);
	else if (kind < 58)
		gen_input(g);
	else if (kind < 70 && g->depth < DEPTH_MAX)
		gen_if(g);
	else if (kind < 80 && g->flags & GEN_CALLS)
		gen_str_call(g);
	else if (kind < 83 && g->flags & GEN_CALLS)
		gen_mem_call(g);
	else if (kind < 84 && g->flags & GEN_CALLS)
		gen_net_call(g);
	else if (kind < 85 && g->flags & GEN_CALLS)
		gen_spec_call(g);
	else if (kind < 88 && g->flags & GEN_CALLS)
		gen_dyn(g);
	else if (kind < 80 && g->flags & GEN_QUICK && g->flags & GEN_RECORDS)
		(g->rec_fixed ? gen_field : gen_record)(g);
	else if ((kind < 92 || g->flags & GEN_QUICK) && g->flags & GEN_AGGS)
		gen_agg(g);
	else if (kind < 97 && g->rec_fixed)
		gen_field(g);
	else if (kind < 97 && g->flags & GEN_RECORDS)
		gen_record(g);
	else if (kind < 98 && g->flags & GEN_EXIT)
		call(g, IR_HELPER_exit, small_int(g), 0, 0, 0);
	else
		ir_emit(g->b, IR_OP_ACTION, WIRE_NONE, WIRE_NONE, WIRE_NONE, below(g, 10), 0);
}

static void gen_block(struct gen *g, uint32_t statements)
{
	while (statements-- && g->budget) {
		g->budget--;
		gen_statement(g);
	}
	if (g->depth && !below(g, 30))
		gen_end(g);
}

static void begin_prog(struct gen *g)
{
	g->int_cnt = g->str_cnt = 0;
	g->rec_fixed = 0;
	g->rec_done = false;
	g->depth = 0;
	ir_scratch(g->b, g->flags & GEN_QUICK ? QUICK_THIS_BYTES : THIS_BYTES);
	g->key_words = 1 + below(g, 4);
	g->site_keys = g->flags & GEN_QUICK && below(g, 2);
	g->plain = ir_scratch(g->b, g->flags & GEN_QUICK ? 8 + 8 * g->key_words : PLAIN_BYTES);
	for (size_t i = 0; g->flags & GEN_QUICK && i < ARRAY_CNT(g->str_slots); i++)
		g->str_slots[i] = 0; /* nothing makes strings */
	for (size_t i = 0; !(g->flags & GEN_QUICK) && i < ARRAY_CNT(g->str_slots); i++)
		g->str_slots[i] = ir_scratch(g->b, wire_str_bytes(g->img->strsize));
	for (uint32_t off = 0; off < g->img->str_bytes;) {
		uint32_t len;
		memcpy(&len, g->img->strs + off, sizeof(len));
		add_str(g, emit_const(g, (int64_t)WIRE_SREF(WIRE_SREF_INTERN, off)));
		off += (uint32_t)align_up(sizeof(len) + len + 1, 8);
	}
}

static void gen_prog(struct gen *g, uint32_t clause, uint32_t statements, struct ir_prog *ret)
{
	g->b = ir_builder_create(clause);
	g->budget = statements;
	begin_prog(g);
	while (g->budget)
		gen_block(g, g->budget);
	/* What was computed must show. */
	for (uint32_t i = 0; i < 4 && i < g->int_cnt; i++)
		ir_emit(g->b, IR_OP_STG, WIRE_NONE, g->ints[below(g, g->int_cnt)], WIRE_NONE, 8 * i, 8);
	ir_emit(g->b, IR_OP_RET, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
	if (ir_builder_finish(g->b, ret) < 0)
		abort();
	ir_builder_destroy(g->b);
}

static void gen_strings(struct ir_image *img)
{
	static const char *const words[] = { "", "a", "hello", "/usr/lib/x.so", "/", "trailing/", "-12345", "0x7fz", "lo",
		"a string that is longer than what strsize lets through, as names of C++ functions are" };
	for (size_t i = 0; i < ARRAY_CNT(words); i++)
		ir_image_intern(img, words[i], strlen(words[i]));
}

static void gen_agg_descs(struct ir_image *img)
{
	static const struct wire_agg aggs[] = {
		{ .fn = WIRE_AGG_COUNT }, { .fn = WIRE_AGG_SUM }, { .fn = WIRE_AGG_MIN }, { .fn = WIRE_AGG_MAX },
		{ .fn = WIRE_AGG_AVG }, { .fn = WIRE_AGG_STDDEV }, { .fn = WIRE_AGG_QUANTIZE },
		{ .fn = WIRE_AGG_LQUANTIZE, .base = -10, .limit = 100, .step = 7 },
		{ .fn = WIRE_AGG_LQUANTIZE, .base = 0, .limit = 256, .step = 16 },
		{ .fn = WIRE_AGG_LQUANTIZE, .base = -(1LL << 40), .limit = -(1LL << 40) + 4000000000, .step = 999999999 },
		{ .fn = WIRE_AGG_LQUANTIZE, .base = -(1LL << 40), .limit = 1LL << 40, .step = 77777777777 },
		{ .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_low = 0, .ll_high = 6, .ll_steps = 20 },
	};
	img->aggs = malloc(sizeof(aggs));
	if (!img->aggs)
		abort();
	memcpy(img->aggs, aggs, sizeof(aggs));
	img->agg_cnt = ARRAY_CNT(aggs);
	for (uint32_t i = 0; i < img->agg_cnt; i++)
		img->aggs[i].val_cnt = ir_agg_words(&img->aggs[i]);
}

void gen_image(const struct gen_opts *o, struct ir_image *ret)
{
	struct gen g = { .rng = o->seed * 0xd1342543de82ef95ULL + 1, .flags = o->flags };
	struct ir_image img = { .global_bytes = GLOBAL_BYTES, .self_bytes = SELF_BYTES, .this_bytes = THIS_BYTES,
		.dynvar_cnt = DYNVARS + 1 };
	if (o->flags & GEN_QUICK)
		img.this_bytes = QUICK_THIS_BYTES;
	g.img = &img;
	img.strsize = 1 + below(&g, 60);
	gen_strings(&img);
	gen_agg_descs(&img);
	uint32_t progs = o->prog_cnt ? o->prog_cnt : 1 + below(&g, 3);
	img.progs = calloc(progs, sizeof(*img.progs));
	if (!img.progs)
		abort();
	img.prog_cnt = progs;
	for (uint32_t i = 0; i < progs; i++)
		gen_prog(&g, i, o->statements ? o->statements : 4 + below(&g, 57), &img.progs[i]);
	*ret = img;
}

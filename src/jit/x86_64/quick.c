/* SPDX-License-Identifier: MIT */
/*
 * Quick bodies: programs that cannot fault, write no record and call nothing
 * need neither a context nor the levels that keep contexts apart.  They run on
 * the application's registers and the thread's area.  What they change there
 * (a variable, the value of an aggregation without keys) they change with one
 * instruction, so a signal handler's probe may come in between anywhere.
 *
 *     rbx      struct wire_thread, once a program needs it
 *     rax rcx rdx rsi   temporary
 *     rdi r9 r10 r11, rbp r12 ... r15   vregs, saved where used
 *     rsp      [application's return value] [tsc], then the saved registers
 *
 * The first hit of a thread, and the first value of an aggregation after it was
 * cleared, call into rt from code behind the body.
 */
#include "jit/x86_64/gen_int.h"

#define COLD_MAX 64
#define THR X64_RBX

/* What is emitted behind the body. */
struct cold {
	enum { COLD_THREAD, COLD_AGG } kind;
	uint32_t label, back;
	const struct ir_insn *in;       /* COLD_AGG */
	struct jit_thread thread;       /* COLD_THREAD */
	const struct jit_alloc *al;
};

struct jit_quick {
	const struct jit_frame *f;
	struct cold colds[COLD_MAX];
	uint32_t cold_cnt;
	int32_t value_at, tsc_at;  /* from rsp; -1: not there */
	int32_t saved_at;          /* the last register that was pushed */
	bool thread_known;         /* on all paths to the next program */
	uint32_t thread_insn;      /* of the program under way: before which it is looked up; WIRE_NONE */
};

/* ---- which programs ---- */

static bool fits_insn(const struct jit_gen *g, const struct ir_insn *in)
{
	switch ((enum ir_op)in->op) {
	case IR_OP_ARG:
		return g->kind != WIRE_SITE_RETURN || (in->imm && !g->is_tail);
	case IR_OP_ENV:
		return in->imm == WIRE_ENV_TIMESTAMP || in->imm == WIRE_ENV_WALLTIMESTAMP; /* tid: rt/vfork.c */
	case IR_OP_AGG:
		return g->env->aggs && in->aux == IR_NO_TUPLE;
	case IR_OP_SDIV: case IR_OP_UDIV: case IR_OP_SREM: case IR_OP_UREM:
	case IR_OP_UREG: case IR_OP_LDS: case IR_OP_STS: case IR_OP_REC: case IR_OP_STR: case IR_OP_COMMIT:
	case IR_OP_CALL: case IR_OP_FAULT:
		return false;
	default:
		return true;
	}
}

static bool fits_prog(const struct jit_gen *g, const struct ir_prog *p, const struct jit_alloc *al, uint32_t *aggs)
{
	if (al->slot_cnt)
		return false;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		if (!(al->insn_flags[i] & JIT_INSN_REACHED))
			continue;
		if (!fits_insn(g, &p->insns[i]))
			return false;
		*aggs += p->insns[i].op == IR_OP_AGG;
	}
	return true;
}

bool jit_is_quick(const struct jit_gen *g)
{
	uint32_t aggs = 0;
	if (g->env->own_stack)
		return false; /* little of the application's stack is left */
	if (g->kind != WIRE_SITE_ENTRY && g->kind != WIRE_SITE_OFFSET && g->kind != WIRE_SITE_RETURN)
		return false;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		if (!fits_prog(g, g->progs[i], &g->allocs[i], &aggs))
			return false;
	return aggs + g->prog_cnt <= COLD_MAX;
}

/* ---- the thread ---- */

static bool needs_thread(const struct ir_insn *in)
{
	return in->op == IR_OP_AGG || in->op == IR_OP_LDT || in->op == IR_OP_STT;
}

/* Before which instruction the thread is looked up, so that nothing was changed before if there is none: the first
 * that needs it, where no path leads past that one to another; else the first of all. */
static uint32_t thread_insn(const struct ir_prog *p, const struct jit_alloc *al)
{
	uint32_t first = WIRE_NONE, last = 0;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		if (!(al->insn_flags[i] & JIT_INSN_REACHED) || !needs_thread(&p->insns[i]))
			continue;
		first = first == WIRE_NONE ? i : first;
		last = i;
	}
	for (uint32_t i = 0; first != WIRE_NONE && i < first; i++) {
		const struct ir_insn *in = &p->insns[i];
		bool branches = in->op == IR_OP_JMP || in->op == IR_OP_BRZ || in->op == IR_OP_BRNZ;
		if (in->op == IR_OP_STG)
			return 0;
		if (branches && (al->insn_flags[i] & JIT_INSN_REACHED) && in->imm > first && in->imm <= last)
			return 0;
	}
	return first;
}

/* Whether each way through the program comes past instruction @at. */
static bool always_passes(const struct ir_prog *p, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (p->insns[i].op == IR_OP_RET || ((p->insns[i].op == IR_OP_JMP || p->insns[i].op == IR_OP_BRZ ||
						     p->insns[i].op == IR_OP_BRNZ) && p->insns[i].imm > at))
			return false;
	return true;
}

static struct cold *add_cold(struct jit_gen *g, struct cold c)
{
	struct jit_quick *q = g->quick;
	c.label = x64_label(&g->a);
	c.back = x64_label(&g->a);
	c.al = g->al;
	q->colds[q->cold_cnt] = c;
	return &q->colds[q->cold_cnt++];
}

static void gen_find_thread(struct jit_gen *g)
{
	struct cold *slow = add_cold(g, (struct cold){ .kind = COLD_THREAD });
	slow->thread = jit_thread_init(g, THR, X64_RAX);
	jit_gen_thread(g, &slow->thread);
}

/* ---- instructions ---- */

static void gen_app_reg(struct jit_gen *g, uint32_t dst, enum x64_reg reg)
{
	const struct jit_quick *q = g->quick;
	enum x64_reg d = jit_dst(g, dst, X64_RAX);
	int i = jit_saved_at(q->f, reg);
	if (i >= 0)
		x64_rm(&g->a, X64_LOAD, d, x64_at(X64_RSP, q->saved_at + 8 * ((int)q->f->saved_cnt - 1 - i)));
	else
		x64_mov(&g->a, d, reg);
	jit_dst_done(g, dst, d);
}

static void gen_arg(struct jit_gen *g, const struct ir_insn *in)
{
	static const uint8_t regs[] = { X64_RDI, X64_RSI, X64_RDX, X64_RCX, X64_R8, X64_R9 };
	if (g->kind != WIRE_SITE_RETURN) {
		gen_app_reg(g, in->dst, (enum x64_reg)regs[in->imm]);
		return;
	}
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	if (in->imm == 1)
		x64_rm(&g->a, X64_LOAD, d, x64_at(X64_RSP, g->quick->value_at));
	else
		x64_zero(&g->a, d);
	jit_dst_done(g, in->dst, d);
}

/* As gen_time() of mem.c, from the stack and with the addresses as they are. */
static void gen_time(struct jit_gen *g, uint32_t dst, size_t base_off)
{
	struct x64_asm *a = &g->a;
	x64_mov_imm(a, X64_RSI, g->env->shm_addr);
	x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RSP, g->quick->tsc_at));
	x64_rm(a, X64_SUB, X64_RAX, x64_at(X64_RSI, offsetof(struct wire_shm, tsc_base)));
	x64_unary_mem(a, X64_MUL, x64_at(X64_RSI, offsetof(struct wire_shm, tsc_mult)));
	x64_rm(a, X64_LOAD32, X64_RCX, x64_at(X64_RSI, offsetof(struct wire_shm, tsc_shift)));
	x64_shrd_cl_rdx_rax(a);
	x64_rm(a, X64_ADD, X64_RAX, x64_at(X64_RSI, (int64_t)base_off));
	jit_dst_done(g, dst, X64_RAX);
}

static void gen_env(struct jit_gen *g, const struct ir_insn *in)
{
	gen_time(g, in->dst, in->imm == WIRE_ENV_TIMESTAMP ? offsetof(struct wire_shm, ns_base) : offsetof(struct wire_shm, wall_base));
}

/* ---- aggregations ---- */

/* Adds the place of @val (or @imm) to the word at THR + rax + @off. */
static void add_to(struct jit_gen *g, uint32_t val, int64_t off)
{
	struct jit_loc l = jit_loc(g, val);
	struct x64_mem m = x64_at_index(THR, X64_RAX, off);
	if (l.kind == JIT_LOC_IMM && x64_fits32((uint64_t)l.imm))
		x64_group_mem_imm(&g->a, X64_G_ADD, m, (int32_t)l.imm);
	else
		x64_rm(&g->a, X64_ADD_TO, jit_src(g, val, X64_RDX), m);
}

/* rcx: the value's bucket. */
static void gen_bucket(struct jit_gen *g, uint32_t val)
{
	struct x64_asm *a = &g->a;
	uint32_t minus = x64_label(a), done = x64_label(a);
	jit_load(g, X64_RDX, val);
	x64_mov_imm(a, X64_RCX, WIRE_QUANTIZE_ZERO);
	x64_rr(a, X64_TEST, X64_RDX, X64_RDX);
	x64_jcc(a, X64_CC_E, done);
	x64_jcc(a, X64_CC_L, minus);
	x64_rr(a, X64_BSR, X64_RCX, X64_RDX);
	x64_group_imm(a, X64_G_ADD, X64_RCX, WIRE_QUANTIZE_ZERO + 1);
	x64_jmp(a, done);
	x64_bind(a, minus);
	x64_unary(a, X64_NEG, X64_RDX);
	x64_rr(a, X64_BSR, X64_RDX, X64_RDX);
	x64_mov_imm(a, X64_RCX, WIRE_QUANTIZE_ZERO - 1);
	x64_rr(a, X64_SUB, X64_RCX, X64_RDX);
	x64_jcc(a, X64_CC_GE, done);
	x64_zero(a, X64_RCX); /* the least value has one bit more than there are buckets */
	x64_bind(a, done);
}

static void gen_quantize(struct jit_gen *g, const struct ir_insn *in)
{
	struct x64_asm *a = &g->a;
	gen_bucket(g, in->a);
	x64_shift_imm(a, X64_SHL, X64_RCX, 3);
	x64_rr(a, X64_ADD, X64_RAX, X64_RCX);
	if (in->b == WIRE_NONE)
		x64_group_mem_imm(a, X64_G_ADD, x64_at_index(THR, X64_RAX, 0), 1);
	else
		add_to(g, in->b, 0);
}

static void gen_update(struct jit_gen *g, const struct ir_insn *in, enum wire_agg_fn fn)
{
	switch (fn) {
	case WIRE_AGG_COUNT:
		x64_group_mem_imm(&g->a, X64_G_ADD, x64_at_index(THR, X64_RAX, 0), 1);
		break;
	case WIRE_AGG_SUM:
		add_to(g, in->a, 0);
		break;
	case WIRE_AGG_AVG:
		x64_group_mem_imm(&g->a, X64_G_ADD, x64_at_index(THR, X64_RAX, 0), 1);
		add_to(g, in->a, 8);
		break;
	default:
		gen_quantize(g, in);
		break;
	}
}

static bool is_inline(enum wire_agg_fn fn)
{
	return fn == WIRE_AGG_COUNT || fn == WIRE_AGG_SUM || fn == WIRE_AGG_AVG || fn == WIRE_AGG_QUANTIZE;
}

static void gen_agg(struct jit_gen *g, const struct ir_insn *in)
{
	const struct wire_shm *geo = g->env->geometry;
	struct x64_asm *a = &g->a;
	const struct cold *slow = add_cold(g, (struct cold){ .kind = COLD_AGG, .in = in });
	uint64_t gen = g->env->shm_addr + geo->agg_desc_off + (uint64_t)in->imm * sizeof(struct wire_agg) +
		       offsetof(struct wire_agg, gen);
	enum wire_agg_fn fn = (enum wire_agg_fn)g->env->aggs[in->imm].fn;
	if (!is_inline(fn)) {
		x64_jmp(a, slow->label);
		x64_bind(a, slow->back);
		return;
	}
	x64_rm(a, X64_LOAD, X64_RAX, x64_at(THR, (int64_t)(geo->geom.cells_off + 8 * (uint64_t)in->imm)));
	x64_rr(a, X64_TEST, X64_RAX, X64_RAX);
	x64_jcc(a, X64_CC_E, slow->label);
	x64_rm(a, X64_LOAD32, X64_RDX, jit_abs(g, gen, X64_RSI));
	x64_rm(a, X64_CMP32, X64_RDX, x64_at_index(THR, X64_RAX, -WIRE_CELL_GEN));
	x64_jcc(a, X64_CC_NE, slow->label);
	gen_update(g, in, fn);
	x64_bind(a, slow->back);
}

static struct x64_mem self_at(const struct jit_gen *g, const struct ir_insn *in)
{
	return x64_at(THR, (int64_t)g->env->geometry->geom.self_off + in->imm);
}

bool jit_gen_quick_insn(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	if (insn == g->quick->thread_insn && !g->quick->thread_known)
		gen_find_thread(g);
	switch ((enum ir_op)in->op) {
	case IR_OP_ACTION:
		return true;
	case IR_OP_ARG:
		gen_arg(g, in);
		return true;
	case IR_OP_ENV:
		gen_env(g, in);
		return true;
	case IR_OP_LDT:
		jit_gen_load(g, in, self_at(g, in));
		return true;
	case IR_OP_STT:
		jit_gen_store(g, in, self_at(g, in));
		return true;
	case IR_OP_AGG:
		gen_agg(g, in);
		return true;
	default:
		return false;
	}
}

/* ---- behind the body ---- */

/* Calls @fn, whose arguments are in registers; keeps all that hold vregs or the application's values. */
static void call_out(struct jit_gen *g, uint64_t fn)
{
	struct x64_asm *a = &g->a;
	x64_mov(a, X64_RAX, X64_RSP);
	x64_group_imm(a, X64_G_AND, X64_RSP, -16);
	x64_push(a, X64_RAX);
	x64_push(a, X64_RAX);
	x64_call(a, fn);
	x64_pop(a, X64_RSP);
}

static const uint8_t held[] = { X64_RDI, X64_R8, X64_R9, X64_R10, X64_R11 };

static void push_held(struct jit_gen *g)
{
	for (size_t i = 0; i < ARRAY_CNT(held); i++)
		x64_push(&g->a, (enum x64_reg)held[i]);
}

static void pop_held(struct jit_gen *g)
{
	for (size_t i = ARRAY_CNT(held); i; i--)
		x64_pop(&g->a, (enum x64_reg)held[i - 1]);
}

static void gen_cold_thread(struct jit_gen *g, const struct cold *c)
{
	struct x64_asm *a = &g->a;
	jit_gen_thread_slow(g, &c->thread);
	push_held(g);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	call_out(g, g->env->fn_thread_find);
	x64_mov(a, THR, X64_RAX);
	pop_held(g);
	x64_rr(a, X64_TEST, THR, THR);
	x64_jcc(a, X64_CC_E, g->quick->f->out);
	x64_jmp(a, c->thread.found);
}

/* rt_agg_plain(shm, thread, aggregation, value, weight) */
static void gen_cold_agg(struct jit_gen *g, const struct cold *c)
{
	struct x64_asm *a = &g->a;
	g->al = c->al;
	x64_bind(a, c->label);
	push_held(g);
	jit_load(g, X64_RCX, c->in->a);
	if (c->in->b == WIRE_NONE)
		x64_mov_imm(a, X64_R8, 1);
	else
		jit_load(g, X64_R8, c->in->b);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_mov(a, X64_RSI, THR);
	x64_mov_imm(a, X64_RDX, (uint64_t)c->in->imm);
	call_out(g, g->env->fn_agg_plain);
	pop_held(g);
	x64_jmp(a, c->back);
}

/* ---- whole bodies ---- */

static void plan_frame(const struct jit_gen *g, struct jit_frame *f)
{
	static const uint8_t temps[] = { X64_RCX, X64_RDX, X64_RSI, THR };
	uint32_t used = 0;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		used |= g->allocs[i].used;
	for (size_t i = 0; i < ARRAY_CNT(temps); i++)
		f->saved[f->saved_cnt++] = temps[i];
	for (unsigned r = 0; r < X64_REG_CNT; r++)
		if (used >> r & 1)
			f->saved[f->saved_cnt++] = (uint8_t)r;
}

/* rcx + rax + @site_off is the site: above its return address the application's rax lies behind what the
 * trampoline pushed. */
static void push_value(struct jit_gen *g, const struct jit_frame *f, int64_t site_off)
{
	struct x64_asm *a = &g->a;
	x64_rm(a, X64_MOVZX16, X64_RAX, x64_at_index(X64_RCX, X64_RAX, site_off + (int64_t)offsetof(struct wire_site, sp_adj)));
	x64_group_imm(a, X64_G_AND, X64_RAX, 8);
	x64_rm(a, X64_LOAD, X64_RAX, x64_at_index(X64_RSP, X64_RAX, 8 * (int64_t)f->saved_cnt + 8));
	x64_push(a, X64_RAX);
}

static void push_tsc(struct jit_gen *g)
{
	struct x64_asm *a = &g->a;
	x64_rdtsc(a);
	x64_shift_imm(a, X64_SHL, X64_RDX, 32);
	x64_rr(a, X64_OR, X64_RAX, X64_RDX);
	x64_push(a, X64_RAX);
}

static void gen_open(struct jit_gen *g, struct jit_quick *q, const struct jit_frame *f)
{
	int64_t site_off = jit_gen_gate(g, f);
	bool value = g->kind == WIRE_SITE_RETURN && g->regs_needed >> WIRE_RAX & 1;
	for (unsigned i = 1; i < f->saved_cnt; i++)
		x64_push(&g->a, (enum x64_reg)f->saved[i]);
	if (value)
		push_value(g, f, site_off);
	if (g->tsc_needed)
		push_tsc(g);
	q->tsc_at = 0;
	q->value_at = g->tsc_needed ? 8 : 0;
	q->saved_at = 8 * (value + g->tsc_needed);
}

static void gen_progs(struct jit_gen *g, struct jit_quick *q)
{
	for (uint32_t i = 0; i < g->prog_cnt; i++) {
		g->p = g->progs[i];
		g->al = &g->allocs[i];
		g->next_label = x64_label(&g->a);
		q->thread_insn = thread_insn(g->p, g->al);
		jit_gen_prog(g);
		q->thread_known |= q->thread_insn != WIRE_NONE && always_passes(g->p, q->thread_insn);
		x64_bind(&g->a, g->next_label);
	}
}

void jit_gen_quick(struct jit_gen *g, struct jit_frame *f)
{
	struct jit_quick q = { .f = f };
	g->quick = &q;
	plan_frame(g, f);
	gen_open(g, &q, f);
	gen_progs(g, &q);
	x64_bind(&g->a, f->out);
	if (q.saved_at)
		x64_group_imm(&g->a, X64_G_ADD, X64_RSP, q.saved_at);
	jit_gen_restore(g, f);
	for (uint32_t i = 0; i < q.cold_cnt; i++) {
		if (q.colds[i].kind == COLD_THREAD)
			gen_cold_thread(g, &q.colds[i]);
		else
			gen_cold_agg(g, &q.colds[i]);
	}
	if (g->env->proc_flags & WIRE_PROC_FOLLOW)
		jit_gen_child(g, f);
	g->quick = NULL;
}

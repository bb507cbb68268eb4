/* SPDX-License-Identifier: MIT */
/*
 * Quick bodies: programs that cannot fault and call nothing need neither a
 * context nor the levels that keep contexts apart.  They run on the
 * application's registers, the thread's area and a few words of the stack.
 * What they change in the area (a variable, the value of an aggregation) they
 * change with one instruction, so a signal handler's probe may come in between
 * anywhere; for records see quick_rec.c.
 *
 * What is rare (the first hit of a thread, the first value under a key, a full
 * ring) calls into rt from code behind the body.
 */
#include "jit/x86_64/quick_int.h"

_Static_assert(8 * X64_REG_CNT + 3 * 8 + SCRATCH_MAX + sizeof(struct wire_rec) + PAYLOAD_MAX + 152 < RT_QUICK_STACK, "");

/* ---- which programs ---- */

static bool fits_env(int64_t env)
{
	switch ((enum wire_env)env) {
	case WIRE_ENV_TIMESTAMP: case WIRE_ENV_WALLTIMESTAMP: case WIRE_ENV_PID: case WIRE_ENV_TID: case WIRE_ENV_PPID:
	case WIRE_ENV_UID: case WIRE_ENV_GID: case WIRE_ENV_EXECNAME: case WIRE_ENV_PSARGS: case WIRE_ENV_PROBEPROV:
	case WIRE_ENV_PROBEMOD: case WIRE_ENV_PROBEFUNC: case WIRE_ENV_PROBENAME: case WIRE_ENV_PROBEID:
	case WIRE_ENV_RET_OFFSET: case WIRE_ENV_CLAUSE: case WIRE_ENV_WEIGHT:
		return true;
	case WIRE_ENV_CPU: case WIRE_ENV_AT_JUMP: case WIRE_ENV_IN_KERNEL: case WIRE_ENV_CNT:
		break;
	}
	return false;
}

static bool fits_ring(const struct wire_shm *geo)
{
	return !geo->flight && geo->geom.ring_bytes <= 1u << 30 && geo->geom.ring_off <= INT32_MAX / 2;
}

static bool fits_divisor(const struct jit_alloc *al, uint32_t vreg)
{
	return al->locs[vreg].kind == JIT_LOC_IMM && al->locs[vreg].imm;
}

static bool fits_insn(const struct jit_gen *g, const struct ir_prog *p, const struct jit_alloc *al, uint32_t i)
{
	const struct ir_insn *in = &p->insns[i];
	switch ((enum ir_op)in->op) {
	case IR_OP_ARG:
		return g->kind != WIRE_SITE_RETURN || in->imm != 1 || !g->is_tail;
	case IR_OP_ENV:
		return fits_env(in->imm);
	case IR_OP_AGG:
		return g->env->aggs && jit_quick_agg_fits(g, p, i);
	case IR_OP_SDIV: case IR_OP_UDIV: case IR_OP_SREM: case IR_OP_UREM:
		return fits_divisor(al, in->b);
	case IR_OP_LDS: /* this-> variables; what else is there may be of an earlier firing */
		return in->imm + (in->aux & ~IR_SIGNED) <= (int64_t)g->env->geometry->this_bytes &&
		       g->env->geometry->this_bytes <= SCRATCH_MAX;
	case IR_OP_STS:
		return in->imm + (in->aux & ~IR_SIGNED) <= (int64_t)SCRATCH_MAX;
	case IR_OP_CALL:
		return in->imm == IR_HELPER_tuple_begin && p->args[in->a] + 8 + p->args[in->a + 1] <= SCRATCH_MAX;
	case IR_OP_REC:
		return fits_ring(g->env->geometry) && jit_quick_rec_fits(p, al, i);
	case IR_OP_LDG: case IR_OP_STG:
		return g->env->geometry->global_off + (uint64_t)in->imm < INT32_MAX / 2;
	case IR_OP_UREG: case IR_OP_FAULT:
		return false;
	default:
		return true;
	}
}

static bool is_cold(const struct ir_insn *in)
{
	bool is_id = in->op == IR_OP_ENV && (in->imm == WIRE_ENV_PID || in->imm == WIRE_ENV_TID || in->imm == WIRE_ENV_PPID);
	return in->op == IR_OP_AGG || in->op == IR_OP_REC || in->op == IR_OP_COMMIT || is_id;
}

static bool fits_prog(const struct jit_gen *g, const struct ir_prog *p, const struct jit_alloc *al, uint32_t *colds)
{
	if (al->slot_cnt)
		return false;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		if (!(al->insn_flags[i] & JIT_INSN_REACHED))
			continue;
		if (!fits_insn(g, p, al, i))
			return false;
		*colds += is_cold(&p->insns[i]);
	}
	return true;
}

/* What the site has is at a distance from JIT_PROC. */
static bool fits_spot(const struct jit_gen *g)
{
	const struct wire_shm *geo = g->env->geometry;
	uint64_t last = geo->rate_off > geo->site_off ? geo->rate_off : geo->site_off;
	return !g->spot || last + jit_spot_bytes(g->spot) < INT32_MAX / 2;
}

bool jit_is_quick(const struct jit_gen *g)
{
	uint32_t colds = 0;
	if (g->env->own_stack)
		return false; /* little of the application's stack is left */
	if (!fits_spot(g))
		return false;
	if (g->kind != WIRE_SITE_ENTRY && g->kind != WIRE_SITE_OFFSET && g->kind != WIRE_SITE_RETURN)
		return false;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		if (!fits_prog(g, g->progs[i], &g->allocs[i], &colds))
			return false;
	return colds + 2 * (g->apart ? g->apart_cnt : g->prog_cnt) <= COLD_MAX; /* the thread and the time of each */
}

/* ---- what programs use ---- */

static bool needs_site(int64_t env)
{
	return (env >= WIRE_ENV_PROBEPROV && env <= WIRE_ENV_PROBEID) || env == WIRE_ENV_RET_OFFSET || env == WIRE_ENV_PID ||
	       env == WIRE_ENV_TID || env == WIRE_ENV_PPID || env == WIRE_ENV_WEIGHT;
}

static void at_least(uint32_t *v, uint64_t min)
{
	if (*v < min)
		*v = (uint32_t)min;
}

static void note_insn(struct jit_gen *g, const struct ir_prog *p, const struct ir_insn *in)
{
	struct jit_quick *q = g->quick;
	if (in->op == IR_OP_LDS || in->op == IR_OP_STS) {
		at_least(&q->scratch_bytes, (uint64_t)in->imm + (in->aux & ~IR_SIGNED));
		q->this_vars |= in->op == IR_OP_LDS;
	} else if (in->op == IR_OP_CALL) {
		at_least(&q->scratch_bytes, p->args[in->a] + 8 + p->args[in->a + 1]);
	} else if (jit_site_key(g, in)) {
		at_least(&q->scratch_bytes, in->aux + 8 + 8 * (uint64_t)jit_site_key(g, in)->word_cnt);
		q->site = true;
	} else if (in->op == IR_OP_REC) {
		at_least(&q->rec_bytes, sizeof(struct wire_rec) + in->aux);
		q->site = true;
	} else if ((in->op == IR_OP_ENV && needs_site(in->imm)) ||
		   (in->op == IR_OP_ARG && in->imm == 0 && g->kind == WIRE_SITE_RETURN)) {
		q->site = true;
	}
}

static void note_needs(struct jit_gen *g)
{
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		for (uint32_t j = 0; j < g->progs[i]->insn_cnt; j++)
			if (g->allocs[i].insn_flags[j] & JIT_INSN_REACHED)
				note_insn(g, g->progs[i], &g->progs[i]->insns[j]);
	g->quick->scratch_bytes = (uint32_t)align_up(g->quick->scratch_bytes, 8);
}

/* ---- what is found when it is wanted first: the thread, the time ---- */

static bool needs_thread(const struct ir_insn *in)
{
	return is_cold(in) || in->op == IR_OP_LDT || in->op == IR_OP_STT;
}

static bool needs_tsc(const struct ir_insn *in)
{
	return in->op == IR_OP_REC || (in->op == IR_OP_ENV && (in->imm == WIRE_ENV_TIMESTAMP || in->imm == WIRE_ENV_WALLTIMESTAMP));
}

struct cold *jit_quick_cold(struct jit_gen *g, struct cold c)
{
	struct jit_quick *q = g->quick;
	if (q->cold_cnt == COLD_MAX) { /* jit_is_quick() has counted them: it does not happen */
		g->a.no_memory = true;
		q->cold_cnt--;
	}
	c.label = x64_label(&g->a);
	c.back = x64_label(&g->a);
	c.second = x64_label(&g->a);
	c.stale = x64_label(&g->a);
	c.young = x64_label(&g->a);
	c.al = g->al;
	q->colds[q->cold_cnt] = c;
	return &q->colds[q->cold_cnt++];
}

static void gen_find_thread(struct jit_gen *g)
{
	struct cold *slow = jit_quick_cold(g, (struct cold){ .kind = COLD_THREAD });
	slow->thread = jit_thread_init(g, thr(g), X64_RAX);
	g->proc_rests = !(g->a.named >> JIT_PROC & 1);
	jit_gen_thread(g, &slow->thread);
	g->lookups++;
	g->a.named &= ~(1u << JIT_PROC); /* so that it tells what comes behind */
}

static void gen_read_tsc(struct jit_gen *g)
{
	struct cold *slow = jit_quick_cold(g, (struct cold){ .kind = COLD_TSC });
	x64_test32_imm(&g->a, x64_at(JIT_PROC, offsetof(struct wire_proc, flags)), WIRE_PROC_NO_TSC);
	x64_jcc(&g->a, X64_CC_NE, slow->label);
	jit_gen_read_tsc(g);
	x64_bind(&g->a, slow->back);
	x64_rm(&g->a, X64_STORE, X64_RAX, x64_at(X64_RSP, g->quick->tsc_at));
}

void jit_quick_tsc_again(struct jit_gen *g)
{
	struct x64_asm *a = &g->a;
	uint32_t coarse = x64_label(a), known = x64_label(a);
	x64_test32_imm(a, x64_at(JIT_PROC, offsetof(struct wire_proc, flags)), WIRE_PROC_NO_TSC);
	x64_jcc(a, X64_CC_NE, coarse);
	jit_gen_read_tsc(g);
	x64_jmp(a, known);
	x64_bind(a, coarse);
	x64_rm(a, X64_LOAD, X64_RAX, x64_at(JIT_PROC, offsetof(struct wire_proc, coarse_tsc)));
	x64_bind(a, known);
	x64_rm(a, X64_STORE, X64_RAX, x64_at(X64_RSP, g->quick->tsc_at));
}

/* ---- instructions ---- */

void jit_quick_site(struct jit_gen *g, enum x64_reg reg, uint64_t off)
{
	x64_mov_imm(&g->a, reg, g->env->shm_addr + off + (g->spot ? jit_spot_bytes(g->spot) : 0));
	if (!g->spot)
		x64_rm(&g->a, X64_ADD, reg, x64_at(X64_RSP, g->quick->site_at));
}

void jit_quick_app_sp(struct jit_gen *g, enum x64_reg reg, int32_t pushed)
{
	if (g->spot) {
		x64_rm(&g->a, X64_LEA, reg, x64_at(X64_RSP, g->quick->entry_at + pushed + g->spot->sp_adj - 8));
		return;
	}
	x64_mov_imm(&g->a, reg, g->env->shm_addr + g->env->geometry->site_off);
	x64_rm(&g->a, X64_ADD, reg, x64_at(X64_RSP, g->quick->site_at + pushed));
	x64_rm(&g->a, X64_MOVZX16, X64_RAX, x64_at(reg, offsetof(struct wire_site, sp_adj)));
	x64_rm(&g->a, X64_LEA, reg, x64_at_index(X64_RSP, X64_RAX, g->quick->entry_at + pushed));
}

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

static void gen_of_site(struct jit_gen *g, uint32_t dst, enum wire_env env)
{
	enum x64_reg d = jit_dst(g, dst, X64_RAX);
	jit_quick_site_env(g, d, env);
	jit_dst_done(g, dst, d);
}

static void gen_arg(struct jit_gen *g, const struct ir_insn *in)
{
	static const uint8_t regs[] = { X64_RDI, X64_RSI, X64_RDX, X64_RCX, X64_R8, X64_R9 };
	if (jit_quick_arg_stays(g, in))
		return;
	if (g->kind != WIRE_SITE_RETURN) {
		gen_app_reg(g, in->dst, (enum x64_reg)regs[in->imm]);
		return;
	}
	if (!in->imm) {
		gen_of_site(g, in->dst, WIRE_ENV_RET_OFFSET);
		return;
	}
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	if (in->imm == 1)
		x64_rm(&g->a, X64_LOAD, d, x64_at(X64_RSP, g->quick->value_at));
	else
		x64_zero(&g->a, d);
	jit_dst_done(g, in->dst, d);
}

static void gen_time(struct jit_gen *g, uint32_t dst, size_t base_off)
{
	uint64_t shm = g->env->shm_addr;
	x64_rm(&g->a, X64_LOAD, X64_RAX, x64_at(X64_RSP, g->quick->tsc_at));
	jit_gen_ns(g, jit_near(g, shm + offsetof(struct wire_shm, tsc_base)), jit_near(g, shm + offsetof(struct wire_shm, tsc_mult)),
		   jit_near(g, shm + base_off));
	jit_dst_done(g, dst, X64_RAX);
}

/* pid, tid, ppid: at hand, but for a thread that may be in vfork(). */
static void gen_id(struct jit_gen *g, const struct ir_insn *in)
{
	struct x64_asm *a = &g->a;
	const struct cold *slow = jit_quick_cold(g, (struct cold){ .kind = COLD_ID, .in = in });
	size_t off = in->imm == WIRE_ENV_PID ? offsetof(struct wire_proc, pid) : offsetof(struct wire_proc, ppid);
	x64_cmp32_imm(a, x64_at(thr(g), offsetof(struct wire_thread, vfork_pid)), 0);
	x64_jcc(a, X64_CC_NE, slow->label);
	struct x64_mem m = in->imm == WIRE_ENV_TID ? x64_at(thr(g), offsetof(struct wire_thread, tid)) :
			   x64_at(JIT_PROC, (int64_t)off);
	x64_rm(a, X64_LOAD32, X64_RAX, m);
	x64_bind(a, slow->back);
	jit_dst_done(g, in->dst, X64_RAX);
}

static void gen_value(struct jit_gen *g, uint32_t dst, struct x64_mem m, bool is_sref)
{
	enum x64_reg d = jit_dst(g, dst, X64_RAX);
	x64_rm(&g->a, X64_LOAD32, d, m);
	if (is_sref)
		x64_bts(&g->a, d, WIRE_SREF_TAG_SHIFT + 1); /* WIRE_SREF_INTERN is one bit */
	jit_dst_done(g, dst, d);
}

static void gen_of_proc(struct jit_gen *g, uint32_t dst, size_t off, bool is_sref)
{
	gen_value(g, dst, x64_at(JIT_PROC, (int64_t)off), is_sref);
}

static void gen_env(struct jit_gen *g, const struct ir_insn *in)
{
	uint32_t dst = in->dst;
	switch ((enum wire_env)in->imm) {
	case WIRE_ENV_TIMESTAMP:
		gen_time(g, dst, offsetof(struct wire_shm, ns_base));
		break;
	case WIRE_ENV_WALLTIMESTAMP:
		gen_time(g, dst, offsetof(struct wire_shm, wall_base));
		break;
	case WIRE_ENV_PID: case WIRE_ENV_TID: case WIRE_ENV_PPID:
		gen_id(g, in);
		break;
	case WIRE_ENV_UID:
		gen_of_proc(g, dst, offsetof(struct wire_proc, uid), false);
		break;
	case WIRE_ENV_GID:
		gen_of_proc(g, dst, offsetof(struct wire_proc, gid), false);
		break;
	case WIRE_ENV_EXECNAME:
		gen_of_proc(g, dst, offsetof(struct wire_proc, execname), true);
		break;
	case WIRE_ENV_PSARGS:
		gen_of_proc(g, dst, offsetof(struct wire_proc, psargs), true);
		break;
	case WIRE_ENV_PROBEPROV: case WIRE_ENV_PROBEMOD: case WIRE_ENV_PROBEFUNC: case WIRE_ENV_PROBENAME: case WIRE_ENV_PROBEID:
	case WIRE_ENV_RET_OFFSET:
		gen_of_site(g, dst, (enum wire_env)in->imm);
		break;
	case WIRE_ENV_WEIGHT:
		jit_quick_weight(g, dst);
		break;
	default:
		x64_mov_imm(&g->a, X64_RAX, g->p->clause);
		jit_dst_done(g, dst, X64_RAX);
		break;
	}
}

static struct x64_mem place(const struct jit_gen *g, const struct ir_insn *in)
{
	if (in->op == IR_OP_LDS || in->op == IR_OP_STS)
		return x64_at(X64_RSP, g->quick->scratch_at + in->imm);
	if (in->op == IR_OP_STR)
		return x64_at(REC, (int64_t)offsetof(struct wire_rec, payload) + in->imm);
	return x64_at(thr(g), (int64_t)g->env->geometry->geom.self_off + in->imm);
}

/* A clause begins: what is found in it, besides what is known already. */
static void begin_part(struct jit_gen *g, uint32_t insn)
{
	struct jit_quick *q = g->quick;
	q->part = jit_part_of(g, g->p, insn);
	q->thread_insn = jit_part_first_need(g->p, g->al, &q->part, needs_thread);
	q->tsc_insn = jit_part_first_need(g->p, g->al, &q->part, needs_tsc);
}

static void end_part(struct jit_gen *g)
{
	struct jit_quick *q = g->quick;
	q->thread_known |= jit_part_passes(g->p, &q->part, q->thread_insn);
	q->tsc_known |= jit_part_passes(g->p, &q->part, q->tsc_insn);
}

bool jit_gen_quick_insn(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	struct jit_quick *q = g->quick;
	if (g->apart && in->op == IR_OP_ACTION && insn) {
		end_part(g);
		begin_part(g, insn);
	}
	if (insn == q->thread_insn && !q->thread_known)
		gen_find_thread(g);
	if (insn == q->tsc_insn && !q->tsc_known) {
		if (in->op == IR_OP_REC)
			jit_quick_drains(g);
		gen_read_tsc(g);
	}
	switch ((enum ir_op)in->op) {
	case IR_OP_ACTION:
		return true;
	case IR_OP_ARG:
		gen_arg(g, in);
		return true;
	case IR_OP_ENV:
		gen_env(g, in);
		return true;
	case IR_OP_LDT: case IR_OP_LDS:
		jit_gen_load(g, in, place(g, in));
		return true;
	case IR_OP_STT: case IR_OP_STS: case IR_OP_STR:
		jit_gen_store(g, in, place(g, in));
		return true;
	case IR_OP_AGG:
		jit_quick_agg(g, in);
		return true;
	case IR_OP_CALL:
		jit_quick_tuple_begin(g, insn);
		return true;
	case IR_OP_REC:
		jit_quick_rec(g, insn);
		return true;
	case IR_OP_COMMIT:
		jit_quick_commit(g, insn);
		return true;
	default:
		return false;
	}
}

/* ---- behind the body ---- */

void jit_quick_call(struct jit_gen *g, uint64_t fn)
{
	struct x64_asm *a = &g->a;
	x64_mov(a, X64_RAX, X64_RSP);
	x64_group_imm(a, X64_G_AND, X64_RSP, -16);
	x64_push(a, X64_RAX);
	x64_push(a, X64_RAX);
	x64_call(a, fn);
	x64_pop(a, X64_RSP);
}

static const uint8_t held[] = { JIT_PROC, X64_RDI, X64_R8, X64_R9, X64_R10, X64_R11, X64_RCX, X64_RDX };

/* The last two are saved, where they are not spared. */
static bool is_held(const struct jit_gen *g, enum x64_reg reg)
{
	return (reg != X64_RCX && reg != X64_RDX) || g->spares >> reg & 1;
}

int32_t jit_quick_held_bytes(const struct jit_gen *g)
{
	return 8 * (int32_t)(ARRAY_CNT(held) - !is_held(g, X64_RCX) - !is_held(g, X64_RDX));
}

void jit_quick_push_held(struct jit_gen *g)
{
	for (size_t i = 0; i < ARRAY_CNT(held); i++)
		if (is_held(g, (enum x64_reg)held[i]))
			x64_push(&g->a, (enum x64_reg)held[i]);
	g->quick->pushed = jit_quick_held_bytes(g);
	g->a.blind = true;
}

void jit_quick_pop_held(struct jit_gen *g)
{
	g->a.blind = false;
	g->quick->pushed = 0;
	for (size_t i = ARRAY_CNT(held); i; i--)
		if (is_held(g, (enum x64_reg)held[i - 1]))
			x64_pop(&g->a, (enum x64_reg)held[i - 1]);
}

static void gen_cold_thread(struct jit_gen *g, const struct cold *c)
{
	struct x64_asm *a = &g->a;
	uint32_t named = a->named;
	jit_gen_thread_raw(g, &c->thread);
	jit_quick_push_held(g);
	jit_gen_thread_self(g);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	jit_quick_call(g, g->env->fn_thread_find);
	jit_quick_pop_held(g);
	x64_mov(a, thr(g), X64_RAX);
	x64_rr(a, X64_TEST, thr(g), thr(g));
	x64_jcc(a, X64_CC_E, g->quick->f->out);
	x64_jmp(a, c->thread.found);
	a->named = named | (a->named & ~(1u << JIT_PROC)); /* it comes before that is gone */
}

static void gen_cold_gate(struct jit_gen *g, const struct cold *c)
{
	struct jit_frame f = *g->quick->f;
	f.quick = f.out;
	x64_bind(&g->a, c->label);
	jit_gen_gate(g, &f);
	gen_cold_thread(g, c);
}

/* rt_vfork_id_at(proc, thread, env, sp) */
static void gen_cold_id(struct jit_gen *g, const struct cold *c)
{
	struct x64_asm *a = &g->a;
	x64_bind(a, c->label);
	jit_quick_push_held(g);
	x64_mov_imm(a, X64_RDI, jit_proc_addr(g->env));
	x64_mov(a, X64_RSI, thr(g));
	x64_mov_imm(a, X64_RDX, (uint64_t)c->in->imm);
	jit_quick_app_sp(g, X64_RCX, jit_quick_held_bytes(g));
	jit_quick_call(g, g->env->fn_vfork_id_at);
	jit_quick_pop_held(g);
	x64_jmp(a, c->back);
}

static void gen_cold(struct jit_gen *g, const struct cold *c)
{
	switch (c->kind) {
	case COLD_GATE:
		gen_cold_gate(g, c);
		break;
	case COLD_THREAD:
		gen_cold_thread(g, c);
		break;
	case COLD_AGG:
		jit_quick_cold_agg(g, c);
		break;
	case COLD_REC:
		jit_quick_cold_rec(g, c);
		break;
	case COLD_COMMIT:
		jit_quick_cold_commit(g, c);
		break;
	case COLD_ID:
		gen_cold_id(g, c);
		break;
	case COLD_TSC:
		x64_bind(&g->a, c->label);
		x64_rm(&g->a, X64_LOAD, X64_RAX, x64_at(JIT_PROC, offsetof(struct wire_proc, coarse_tsc)));
		x64_jmp(&g->a, c->back);
		break;
	}
}

/* ---- whole bodies ---- */

static void save(const struct jit_gen *g, struct jit_frame *f, unsigned reg)
{
	if (!jit_is_dead(g, (enum x64_reg)reg))
		f->saved[f->saved_cnt++] = (uint8_t)reg;
}

static void plan_frame(const struct jit_gen *g, struct jit_frame *f)
{
	const uint8_t temps[] = { JIT_PROC, (uint8_t)thr(g), X64_RDX, X64_RCX };
	uint32_t used = 0;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		used |= g->allocs[i].used;
	for (size_t i = 0; i < ARRAY_CNT(temps); i++)
		if (!(g->spares >> temps[i] & 1) && (!i || temps[i] != JIT_PROC))
			save(g, f, temps[i]);
	if (g->quick->rec_bytes)
		save(g, f, REC);
	for (unsigned r = 0; r < X64_REG_CNT; r++)
		if (used >> r & 1)
			save(g, f, r);
}

/* JIT_PROC + rax + @site_off is the site: above its return address the application's rax lies behind what the
 * trampoline pushed.  At a spot it is still in rax. */
static void push_value(struct jit_gen *g, int32_t pushed, int64_t site_off)
{
	struct x64_asm *a = &g->a;
	if (g->spot) {
		x64_push(a, X64_RAX);
		return;
	}
	x64_rm(a, X64_MOVZX16, X64_RAX, x64_at_index(JIT_PROC, X64_RAX, site_off + (int64_t)offsetof(struct wire_site, sp_adj)));
	x64_group_imm(a, X64_G_AND, X64_RAX, 8);
	x64_rm(a, X64_LOAD, X64_RAX, x64_at_index(X64_RSP, X64_RAX, pushed + 8));
	x64_push(a, X64_RAX);
}

/* The this-> variables are what scratch begins with. */
static void zero_this(struct jit_gen *g)
{
	const struct jit_quick *q = g->quick;
	for (uint64_t at = 0; q->this_vars && at < g->env->geometry->this_bytes && at < q->scratch_bytes; at += 8)
		x64_store_imm(&g->a, 8, x64_at(X64_RSP, q->scratch_at + (int64_t)at), 0);
}

/* At a place of its own, of a program that wants the thread alone, the first thread passes no gate: where something forbids a hit, it is
 * not named.  Forked children that are followed may have jumps of places that are gone, and look at each. */
static bool skips_gate(const struct jit_gen *g)
{
	return g->spot && thr(g) == JIT_PROC && g->proc_rests && g->env->wipe_addr && !(g->env->proc_flags & WIRE_PROC_FOLLOW);
}

/* From JIT_PROC: the site. */
static int64_t gen_gate(struct jit_gen *g)
{
	int64_t site_off = jit_gen_gate(g, g->quick->f);
	g->a.named &= ~(1u << JIT_PROC); /* so that it tells what comes behind */
	return site_off;
}

/* Instead of the gate, with the frame there. */
static void gen_main_thread(struct jit_gen *g)
{
	struct cold *gate = jit_quick_cold(g, (struct cold){ .kind = COLD_GATE });
	gate->thread = jit_thread_init(g, JIT_PROC, X64_RAX);
	jit_gen_main_thread(g, &gate->thread, gate->label);
	g->quick->thread_known = true;
}

/* Returns what is below the saved registers. */
static int32_t gen_open(struct jit_gen *g)
{
	struct jit_quick *q = g->quick;
	const struct jit_frame *f = q->f;
	bool value = g->kind == WIRE_SITE_RETURN && g->regs_needed >> WIRE_RAX & 1, skips = skips_gate(g);
	jit_gen_save_proc(g, f);
	int64_t site_off = skips ? 0 : gen_gate(g);
	int32_t below = (int32_t)(q->rec_bytes + q->scratch_bytes) + (g->tsc_needed ? 8 : 0);
	q->site &= !g->spot;
	q->scratch_at = (int32_t)q->rec_bytes;
	q->tsc_at = q->scratch_at + (int32_t)q->scratch_bytes;
	q->value_at = below;
	q->site_at = q->value_at + 8 * value;
	q->saved_at = q->site_at + 8 * q->site;
	q->entry_at = q->saved_at + 8 * (int32_t)f->saved_cnt;
	for (unsigned i = jit_saves_proc(f); i < f->saved_cnt; i++)
		x64_push(&g->a, (enum x64_reg)f->saved[i]);
	if (q->site)
		x64_push(&g->a, X64_RAX);
	if (value)
		push_value(g, q->entry_at - q->site_at, site_off);
	if (!skips && !g->proc_known) {
		x64_mov_imm(&g->a, JIT_PROC, jit_proc_addr(g->env));
		g->a.named &= ~(1u << JIT_PROC);
	}
	if (below)
		x64_group_imm(&g->a, X64_G_SUB, X64_RSP, below);
	zero_this(g);
	if (skips)
		gen_main_thread(g);
	return q->saved_at;
}

static void gen_progs(struct jit_gen *g)
{
	for (uint32_t i = 0; i < g->prog_cnt; i++) {
		g->p = g->progs[i];
		g->al = &g->allocs[i];
		g->next_label = x64_label(&g->a);
		begin_part(g, 0);
		jit_gen_prog(g);
		end_part(g);
		x64_bind(&g->a, g->next_label);
	}
}

void jit_gen_quick(struct jit_gen *g, struct jit_frame *f)
{
	struct jit_quick q = { .f = f };
	g->quick = &q;
	note_needs(g);
	jit_quick_args(g);
	plan_frame(g, f);
	int32_t below = gen_open(g);
	gen_progs(g);
	x64_bind(&g->a, f->out);
	if (below)
		x64_group_imm(&g->a, X64_G_ADD, X64_RSP, below);
	jit_gen_restore(g, f);
	for (uint32_t i = 0; i < q.cold_cnt; i++)
		gen_cold(g, &q.colds[i]);
	g->proc_ends = g->lookups == 1 && !(g->a.named >> JIT_PROC & 1);
	if (g->env->proc_flags & WIRE_PROC_FOLLOW)
		jit_gen_child(g, f);
	g->quick = NULL;
}

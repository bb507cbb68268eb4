/* SPDX-License-Identifier: MIT */
/*
 * Records of quick bodies, as ring/ring.h says: opened and published by the
 * code itself, where nothing is open and the ring has a limit that is not
 * reached yet.  Else the record is made in the frame, and rt copies it.
 */
#include "jit/x86_64/quick_int.h"

#include "ring/ring.h"

#define RING(field) x64_at(thr(g), (int64_t)(offsetof(struct wire_thread, ring) + offsetof(struct wire_ring, field)))

/* ---- which records ---- */

static uint32_t commit_of(const struct ir_prog *p, uint32_t insn)
{
	for (uint32_t i = insn + 1; i < p->insn_cnt; i++)
		if (p->insns[i].op == IR_OP_COMMIT)
			return i;
	return WIRE_NONE;
}

bool jit_quick_rec_fits(const struct ir_prog *p, const struct jit_alloc *al, uint32_t insn)
{
	const struct ir_insn *rec = &p->insns[insn];
	uint32_t commit = commit_of(p, insn);
	if (commit == WIRE_NONE || rec->imm != rec->aux || rec->aux % 8 || rec->aux > PAYLOAD_MAX)
		return false;
	for (uint32_t i = 0; i < commit; i++) {
		const struct ir_insn *in = &p->insns[i];
		bool inside = i > insn;
		if (!(al->insn_flags[i] & JIT_INSN_REACHED))
			continue;
		if (inside && (in->op == IR_OP_RET || in->op == IR_OP_FAULT || in->op == IR_OP_REC))
			return false;
		if (jit_quick_branches(in) && (inside ? in->imm > commit : in->imm > insn && in->imm <= commit))
			return false;
	}
	return true;
}

/*
 * A drain must not pass the time of a record that it cannot see yet.  Either it sees the record open, or counts itself (wire_shm.drains)
 * before the body looks for the second time; then the time is read again, behind the drain.  That is for a record before which nobody
 * wanted the time.  (A note before the time is read would be simpler, but rdtsc waits for older stores whose address is not known yet,
 * and that of the thread's area is the end of a chain: 2 ns of 10.)
 */
void jit_quick_drains(struct jit_gen *g)
{
	x64_rm(&g->a, X64_LOAD32, REC, jit_near(g, g->env->shm_addr + offsetof(struct wire_shm, drains))); /* free as yet */
}

static void gen_look_again(struct jit_gen *g, const struct cold *slow)
{
	x64_rm(&g->a, X64_CMP32, REC, jit_near(g, g->env->shm_addr + offsetof(struct wire_shm, drains)));
	x64_jcc(&g->a, X64_CC_NE, slow->stale);
	x64_bind(&g->a, slow->young);
}

/* Whether the time is read for REC @insn. */
static bool is_timed(const struct jit_gen *g, uint32_t insn)
{
	return insn == g->quick->tsc_insn && !g->quick->tsc_known;
}

static uint32_t bytes_of(const struct ir_insn *rec)
{
	return (uint32_t)sizeof(struct wire_rec) + rec->aux;
}

/* ---- opening ---- */

static void gen_reserve(struct jit_gen *g, uint32_t bytes, const struct cold *slow)
{
	const struct wire_thread_geom *geom = &g->env->geometry->geom;
	struct x64_asm *a = &g->a;
	x64_rm(a, X64_LOAD, X64_RAX, RING(published));
	x64_rm(a, X64_CMP, X64_RAX, RING(quick_end));
	x64_jcc(a, X64_CC_B, slow->label);
	x64_rm(a, X64_STORE, X64_RSP, RING(quick_sp));
	x64_rm(a, X64_LOAD, X64_RAX, RING(published));
	x64_rm(a, X64_CMP, X64_RAX, RING(head));
	x64_jcc(a, X64_CC_B, slow->label);
	x64_rm(a, X64_LEA, X64_RDX, x64_at(X64_RAX, bytes));
	x64_rm(a, X64_CMP, X64_RDX, RING(quick_limit));
	x64_jcc(a, X64_CC_A, slow->label);
	x64_rm(a, X64_STORE, X64_RAX, RING(quick_at));
	x64_rm(a, X64_STORE, X64_RDX, RING(quick_end));
	x64_rm(a, X64_CMP, X64_RSP, RING(quick_sp));
	x64_jcc(a, X64_CC_NE, slow->second);
	if (slow->timed)
		gen_look_again(g, slow);
	x64_group_imm(a, X64_G_AND, X64_RAX, (int32_t)(geom->ring_bytes - 1));
	x64_rm(a, X64_LEA, REC, x64_at_index(thr(g), X64_RAX, (int64_t)geom->ring_off));
}

static struct x64_mem field(size_t off)
{
	return x64_at(REC, (int64_t)off);
}

/* Linux has the processor's number in the low 12 bits of IA32_TSC_AUX, and of the limit of a segment that it made for
 * processors without rdpid. */
static void gen_cpu(struct jit_gen *g, enum x64_reg reg)
{
	struct x64_asm *a = &g->a;
	if (g->env->proc_flags & WIRE_PROC_RDPID) {
		x64_rdpid(a, reg);
	} else {
		x64_mov_imm(a, reg, RT_CPU_SEGMENT);
		x64_rr(a, X64_LSL, reg, reg);
	}
	x64_group_imm(a, X64_G_AND, reg, 0xfff);
}

static void gen_header(struct jit_gen *g, uint32_t bytes, uint32_t clause)
{
	struct x64_asm *a = &g->a;
	x64_store_imm(a, 4, field(offsetof(struct wire_rec, bytes)), (int32_t)bytes);
	x64_store_imm(a, 4, field(offsetof(struct wire_rec, type)), (int32_t)(clause << 16 | WIRE_REC_DATA));
	if (g->spot) {
		x64_store_imm(a, 4, field(offsetof(struct wire_rec, site)), (int32_t)g->spot->site);
	} else {
		x64_rm(a, X64_LOAD32, X64_RAX, x64_at(X64_RSP, g->quick->site_at));
		x64_shift_imm(a, X64_SHR, X64_RAX, 6);
		x64_rm(a, X64_STORE32, X64_RAX, field(offsetof(struct wire_rec, site)));
	}
	gen_cpu(g, X64_RAX);
	x64_rm(a, X64_STORE32, X64_RAX, field(offsetof(struct wire_rec, cpu)));
	x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RSP, g->quick->tsc_at));
	x64_rm(a, X64_STORE, X64_RAX, field(offsetof(struct wire_rec, tsc)));
}

void jit_quick_rec(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	const struct cold *slow = jit_quick_cold(g, (struct cold){ .kind = COLD_REC, .in = in, .timed = is_timed(g, insn) });
	gen_reserve(g, bytes_of(in), slow);
	x64_bind(&g->a, slow->back);
	gen_header(g, bytes_of(in), jit_part_of(g, g->p, insn).clause);
	for (int64_t at = 0; at < in->aux; at += 8)
		if (!jit_quick_is_stored(g, insn, IR_OP_STR, at))
			x64_store_imm(&g->a, 8, x64_at(REC, (int64_t)offsetof(struct wire_rec, payload) + at), 0);
}

/* rt_rec_publish(shm, thread, late) */
static void call_publish(struct jit_gen *g, bool late)
{
	struct x64_asm *a = &g->a;
	jit_quick_push_held(g);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_mov(a, X64_RSI, thr(g));
	x64_mov_imm(a, X64_RDX, late);
	jit_quick_call(g, g->env->fn_rec_publish);
	jit_quick_pop_held(g);
}

void jit_quick_cold_rec(struct jit_gen *g, const struct cold *c)
{
	x64_bind(&g->a, c->second); /* another came in between */
	call_publish(g, true);
	x64_bind(&g->a, c->label);
	if (c->timed) {
		x64_store_imm(&g->a, 4, RING(timed), true);
		jit_quick_tsc_again(g);
	}
	x64_mov(&g->a, REC, X64_RSP); /* in the frame */
	x64_jmp(&g->a, c->back);
	if (!c->timed)
		return;
	x64_bind(&g->a, c->stale);
	jit_quick_tsc_again(g);
	x64_rm(&g->a, X64_LOAD, X64_RAX, RING(quick_at));
	x64_jmp(&g->a, c->young);
}

/* ---- committing ---- */

/* REC @insn that this COMMIT ends. */
static uint32_t rec_of(const struct jit_gen *g, uint32_t insn)
{
	while (g->p->insns[insn].op != IR_OP_REC)
		insn--;
	return insn;
}

void jit_quick_commit(struct jit_gen *g, uint32_t insn)
{
	struct x64_asm *a = &g->a;
	uint32_t rec = rec_of(g, insn);
	const struct cold *slow = jit_quick_cold(g, (struct cold){ .kind = COLD_COMMIT, .timed = is_timed(g, rec) });
	x64_rr(a, X64_CMP, REC, X64_RSP);
	x64_jcc(a, X64_CC_E, slow->label);
	x64_group_mem_imm(a, X64_G_ADD, RING(published), (int32_t)bytes_of(&g->p->insns[rec]));
	x64_rm(a, X64_LOAD, X64_RAX, RING(head));
	x64_rm(a, X64_CMP, X64_RAX, RING(published));
	x64_jcc(a, X64_CC_A, slow->second);
	x64_bind(a, slow->back);
}

/* rt_rec_put(shm, proc, thread, record, sp) */
void jit_quick_cold_commit(struct jit_gen *g, const struct cold *c)
{
	struct x64_asm *a = &g->a;
	x64_bind(a, c->label);
	jit_quick_push_held(g);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_mov(a, X64_RDX, thr(g));
	x64_mov_imm(a, X64_RSI, jit_proc_addr(g->env));
	x64_mov(a, X64_RCX, REC);
	jit_quick_app_sp(g, X64_R8, jit_quick_held_bytes(g));
	jit_quick_call(g, g->env->fn_rec_put);
	jit_quick_pop_held(g);
	if (c->timed)
		x64_store_imm(a, 4, RING(timed), false);
	x64_jmp(a, c->back);
	x64_bind(a, c->second);
	call_publish(g, false);
	x64_jmp(a, c->back);
}

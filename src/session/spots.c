/* SPDX-License-Identifier: MIT */
/*
 * Bodies in trampolines (ADR 47): of the places that are armed first, if they are few, the body stands in its trampoline rather than being
 * called from there.
 */
#include "session/arm_int.h"

/* More than is generated for nearly all programs; what is longer is called. */
#define HOT_BYTES 256u
#define HOT_BYTES_INSN 40u
#define GATE_BYTES 96u /* with a budget, whatever the programs are: either part */
#define COLD_BYTES 1024u
#define COLD_BYTES_INSN 80u
#define LOOK_BYTES 64u /* of code, for registers that are dead */

static uint64_t insns_of(const struct job *j, const struct session_probe *sp)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < sp->prog_cnt; i++)
		sum += j->s->image->progs[sp->progs[i]].insn_cnt;
	return sum;
}

static const struct session_probe *probe_of(const struct job *j, const struct plan_func *pf, const struct patch_anchor *a)
{
	return &j->probes[pf->probe_of[a - pf->anchors]];
}

uint64_t spots_hot_bytes(const struct job *j, const struct plan_func *pf, const struct patch_anchor *a)
{
	const struct session_probe *sp = probe_of(j, pf, a);
	bool can = a->kind == WIRE_SITE_ENTRY || a->kind == WIRE_SITE_OFFSET || a->kind == WIRE_SITE_RETURN;
	if (!pf->spots || !can || a->refusal || a->by_sources || sp->hook) /* of sites of ours, progs has a helper */
		return 0;
	uint64_t n = j->s->shm->rate_off ? GATE_BYTES : HOT_BYTES + HOT_BYTES_INSN * insns_of(j, sp);
	return n < SPOT_BYTES / 2 ? n : 0;
}

/* Room for bodies in the function's trampolines, where it is to have them; or none again. */
static void set_room(const struct job *j, struct plan_func *pf, bool on)
{
	for (uint32_t i = 0; i < pf->anchor_cnt; i++) {
		uint32_t n = (uint32_t)spots_hot_bytes(j, pf, &pf->anchors[i]);
		if (!n)
			continue;
		pf->wins[pf->anchors[i].window].tramp_max += on ? n : -n;
		j->t->spot_cnt += on ? 1 : -1u;
	}
}

void spots_plan(struct job *j)
{
	uint64_t cnt = j->t->spot_cnt;
	for (uint32_t i = 0; i < j->func_cnt; i++)
		cnt += plan_has_windows(&j->funcs[i]) ? j->funcs[i].anchor_cnt : 0;
	for (uint32_t i = 0; i < j->func_cnt && cnt <= SPOTS_MAX; i++) {
		struct plan_func *pf = &j->funcs[i];
		if (pf->spots || !plan_has_windows(pf) || obj_module_is_go(j->t->obj, pf->mod))
			continue;
		pf->spots = true;
		set_room(j, pf, true);
	}
}

/* Up to the next place that is probed, whose programs may look at registers. */
static uint64_t looked_at(const struct plan_func *pf, const struct patch_anchor *a)
{
	uint64_t bytes = pf->bytes - a->offset < LOOK_BYTES ? pf->bytes - a->offset : LOOK_BYTES;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++) {
		const struct patch_anchor *b = &pf->anchors[i];
		if (b != a && !b->refusal && b->offset >= a->offset && b->offset - a->offset < bytes)
			bytes = b->offset - a->offset;
	}
	return bytes;
}

uint16_t spots_dead(const struct job *j, const struct plan_func *pf, const struct patch_anchor *a)
{
	uint8_t code[LOOK_BYTES];
	uint64_t bytes = looked_at(pf, a);
	if (j->s->shm->rate_off)
		return 0; /* the body is called from there, and finds rax where called ones do */
	return target_read(j->t, pf->addr + a->offset, code, bytes) ? 0 : patch_dead(code, bytes);
}

bool spots_drop(struct job *j)
{
	bool any = false;
	for (uint32_t i = 0; i < j->func_cnt; i++) {
		struct plan_func *pf = &j->funcs[i];
		any |= pf->spots;
		if (pf->spots)
			set_room(j, pf, false);
		pf->spots = false;
	}
	return any;
}

uint64_t spots_cold_bytes(const struct job *j, const struct plan_func *pf)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; pf->spots && i < pf->anchor_cnt; i++)
		if (spots_hot_bytes(j, pf, &pf->anchors[i]))
			sum += j->s->shm->rate_off ? GATE_BYTES : COLD_BYTES + COLD_BYTES_INSN * insns_of(j, probe_of(j, pf, &pf->anchors[i]));
	return sum;
}

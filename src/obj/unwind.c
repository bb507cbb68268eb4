/* SPDX-License-Identifier: MIT */
/* Frame tables in the form that the stack walker reads: enum wire_unw_kind. */
#include "obj/obj_int.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REG_RBX 3
#define REG_RBP 6
#define REG_RSP 7
#define REG_R10 10
#define PADDING_MAX 15 /* nobody returns into what stands between aligned functions */
#define PLT_ENTRY 16

struct builder {
	struct wire_unw_row *rows;
	uint32_t cnt, cap;
	uint64_t map_start, map_end; /* vaddrs */
	bool is_signal;
	int rc;
};

static bool same_row(const struct wire_unw_row *a, const struct wire_unw_row *b)
{
	return a->kind == b->kind && a->cfa_off == b->cfa_off && a->rbp_off == b->rbp_off && a->rbx_off == b->rbx_off;
}

/* @r is valid from @vaddr. */
static void add_row(struct builder *b, uint64_t vaddr, struct wire_unw_row r)
{
	if (vaddr >= b->map_end || b->rc)
		return;
	r.pc = vaddr > b->map_start ? (uint32_t)(vaddr - b->map_start) : 0;
	if (b->cnt && b->rows[b->cnt - 1].pc == r.pc)
		b->cnt--;
	if (b->cnt && same_row(&b->rows[b->cnt - 1], &r))
		return;
	b->rc = obj_grow(&b->rows, &b->cap, b->cnt + 1ULL, sizeof(*b->rows));
	if (!b->rc)
		b->rows[b->cnt++] = r;
}

/* "breg N off" alone, or followed by @tail. */
static bool expr_breg(const uint8_t *p, uint64_t bytes, uint8_t reg, uint8_t tail, int64_t *ret_off)
{
	struct obj_cur c = { p, p + bytes, false };
	if (obj_cur_u(&c, 1) != (uint64_t)DW_OP_breg0 + reg)
		return false;
	*ret_off = obj_cur_sleb(&c);
	if (tail && obj_cur_u(&c, 1) != tail)
		return false;
	return !c.bad && c.p == c.end;
}

/* The linkers' expression for a lazy PLT: rsp + 8 + ((rip & 15) >= N) * 8; N, or 0. */
static uint32_t expr_plt(const uint8_t *p, uint64_t bytes)
{
	static const uint8_t head[] = { DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and };
	static const uint8_t tail[] = { DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus };
	if (bytes != sizeof(head) + 1 + sizeof(tail) || memcmp(p, head, sizeof(head)) ||
	    memcmp(p + sizeof(head) + 1, tail, sizeof(tail)))
		return 0;
	uint8_t lit = p[sizeof(head)];
	return lit >= DW_OP_lit0 && lit <= DW_OP_lit15 ? (uint32_t)(lit - DW_OP_lit0) : 0;
}

/* Entries that push elsewhere than lazy PLTs without IBT do: row by row. */
static void add_plt(struct builder *b, const struct obj_cfa_row *row, uint32_t push_at)
{
	if (push_at == 11) {
		add_row(b, row->start, (struct wire_unw_row){ .kind = WIRE_UNW_PLT });
		return;
	}
	for (uint64_t at = row->start; at < row->end && at < b->map_end; at = align_down(at, PLT_ENTRY) + PLT_ENTRY) {
		add_row(b, at, (struct wire_unw_row){ .kind = WIRE_UNW_RSP, .cfa_off = 8 });
		add_row(b, align_down(at, PLT_ENTRY) + push_at, (struct wire_unw_row){ .kind = WIRE_UNW_RSP, .cfa_off = 16 });
	}
}

static bool fits(int64_t v, int64_t max) { return v >= -max && v <= max; }

/* Where a saved register is, from the base that the row's kind implies. */
static bool saved_off(const struct obj_rule *r, bool from_rbp, int16_t *ret)
{
	int64_t off = 0;
	if (r->kind == OBJ_RULE_OFFSET && !from_rbp)
		off = r->off;
	else if (r->kind != OBJ_RULE_EXPR || !from_rbp || !expr_breg(r->expr, r->expr_bytes, REG_RBP, 0, &off))
		return r->kind == OBJ_RULE_SAME;
	*ret = (int16_t)off;
	return fits(off, INT16_MAX);
}

static bool cfa_of(const struct obj_cfa_row *row, struct wire_unw_row *r)
{
	int64_t off = row->cfa_off;
	if (row->cfa_is_expr) {
		r->kind = WIRE_UNW_RBP_DEREF;
		if (!expr_breg(row->cfa_expr, row->cfa_expr_bytes, REG_RBP, DW_OP_deref, &off))
			return false;
	} else if (row->cfa_reg == REG_RSP) {
		r->kind = WIRE_UNW_RSP;
	} else if (row->cfa_reg == REG_RBP) {
		r->kind = WIRE_UNW_RBP;
	} else if (row->cfa_reg == REG_RBX) {
		r->kind = WIRE_UNW_RBX;
	} else if (row->cfa_reg == REG_R10) {
		r->kind = WIRE_UNW_R10;
	} else {
		return false;
	}
	r->cfa_off = (int32_t)off;
	return fits(off, INT32_MAX);
}

static int on_row(void *arg, const struct obj_cfa_row *row)
{
	struct builder *b = arg;
	struct wire_unw_row r = { 0 };
	uint32_t push_at;
	if (row->end <= b->map_start)
		return 0;
	if (b->is_signal) {
		r.kind = WIRE_UNW_SIGFRAME;
	} else if (row->ra.kind == OBJ_RULE_UNDEF) {
		r.kind = WIRE_UNW_END;
	} else if (row->cfa_is_expr && (push_at = expr_plt(row->cfa_expr, row->cfa_expr_bytes))) {
		add_plt(b, row, push_at);
		return b->rc;
	} else if (!cfa_of(row, &r) || row->ra.kind != OBJ_RULE_OFFSET || row->ra.off != -8) {
		r = (struct wire_unw_row){ .kind = WIRE_UNW_FP };
	} else {
		bool deref = r.kind == WIRE_UNW_RBP_DEREF;
		/* A register that cannot be followed is unchanged to the walker: its
		 * frames above may be wrong, this one is right. */
		if (!saved_off(&row->rbp, deref, &r.rbp_off))
			r.rbp_off = 0;
		if (!saved_off(&row->rbx, deref, &r.rbx_off))
			r.rbx_off = 0;
	}
	add_row(b, row->start, r);
	return b->rc;
}

static int build(const struct obj_frames *f, struct builder *b)
{
	const struct wire_unw_row fp = { .kind = WIRE_UNW_FP };
	uint64_t at = b->map_start;
	for (uint32_t i = 0; i < f->fde_cnt && !b->rc; i++) {
		const struct obj_fde *fde = &f->fdes[i];
		if (fde->end <= b->map_start || fde->start < at)
			continue;
		if (fde->start >= b->map_end)
			break;
		if (fde->start > at + PADDING_MAX || (at == b->map_start && fde->start > at))
			add_row(b, at, fp);
		b->is_signal = f->cies[fde->cie].is_signal;
		obj_cfa_rows(f, fde, on_row, b);
		at = fde->end;
	}
	if (at < b->map_end || !b->cnt)
		add_row(b, at, fp);
	return b->rc;
}

int obj_unwind_rows(struct obj_proc *p, struct obj_module *mod, uint64_t map_start, uint64_t map_end,
		    struct wire_unw_row **ret, uint32_t *ret_cnt, struct err *reterr)
{
	struct obj_mod *m = obj_mod(mod);
	int rc = obj_mod_rows(p, m, reterr);
	if (rc)
		return rc;
	struct builder b = { .map_start = map_start - mod->bias, .map_end = map_end - mod->bias };
	rc = build(&m->frames, &b);
	if (rc) {
		free(b.rows);
		return err_setf(reterr, rc, "no memory for the unwind table of %s", mod->path);
	}
	*ret = b.rows;
	*ret_cnt = b.cnt;
	return 0;
}

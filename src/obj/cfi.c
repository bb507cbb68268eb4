/* SPDX-License-Identifier: MIT */
/*
 * Call frame programs (DWARF 5, section 6.4.2), run row by row.  libdw can
 * give the row of one pc, but restarts the program for each; whole tables want
 * them in order.  Only the registers that the stack walker follows are kept:
 * CFA, rbp, rbx and the return address.
 */
#include "obj/obj_int.h"

#include <dwarf.h>
#include <string.h>

#define REG_RBX 3
#define REG_RBP 6
#define REG_RA 16
#define REMEMBER_MAX 16

struct machine {
	const struct obj_cie *cie;
	const struct obj_frames *frames;
	struct obj_cfa_row row, initial;
	struct obj_cfa_row saved[REMEMBER_MAX];
	uint32_t saved_cnt;
	struct obj_cur c;
};

static struct obj_rule *rule_of(struct obj_cfa_row *row, uint64_t reg)
{
	switch (reg) {
	case REG_RBX:
		return &row->rbx;
	case REG_RBP:
		return &row->rbp;
	case REG_RA:
		return &row->ra;
	}
	return NULL;
}

static void set_rule(struct machine *m, uint64_t reg, enum obj_rule_kind kind, int64_t off)
{
	struct obj_rule *r = rule_of(&m->row, reg);
	if (r)
		*r = (struct obj_rule){ .kind = (uint8_t)kind, .off = off };
}

static void restore_rule(struct machine *m, uint64_t reg)
{
	struct obj_rule *r = rule_of(&m->row, reg);
	if (r)
		*r = *rule_of(&m->initial, reg);
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t off)
{
	m->row.cfa_is_expr = false;
	m->row.cfa_reg = (uint32_t)reg;
	m->row.cfa_off = off;
}

static const uint8_t *block(struct machine *m, uint64_t *ret_bytes)
{
	uint64_t n = obj_cur_uleb(&m->c);
	if (n > (uint64_t)(m->c.end - m->c.p)) {
		m->c.bad = true;
		n = 0;
	}
	const uint8_t *p = m->c.p;
	m->c.p += n;
	*ret_bytes = n;
	return p;
}

static void set_expr(struct machine *m, uint64_t reg, enum obj_rule_kind kind)
{
	struct obj_rule r = { .kind = (uint8_t)kind }, *to = rule_of(&m->row, reg);
	r.expr = block(m, &r.expr_bytes);
	if (to)
		*to = r;
}

static void remember(struct machine *m)
{
	if (m->saved_cnt < REMEMBER_MAX)
		m->saved[m->saved_cnt] = m->row;
	m->saved_cnt++;
}

static void recall(struct machine *m)
{
	if (!m->saved_cnt) {
		m->c.bad = true;
		return;
	}
	if (--m->saved_cnt < REMEMBER_MAX) {
		uint64_t start = m->row.start;
		m->row = m->saved[m->saved_cnt];
		m->row.start = start;
	}
}

/* Those that do not move the location; factored offsets are multiples of the CIE's. */
static void step_state(struct machine *m, uint8_t op)
{
	struct obj_cur *c = &m->c;
	int64_t factor = m->cie->data_align;
	uint64_t reg;
	switch (op) {
	case DW_CFA_nop:
		return;
	case DW_CFA_offset_extended:
		reg = obj_cur_uleb(c);
		return set_rule(m, reg, OBJ_RULE_OFFSET, (int64_t)obj_cur_uleb(c) * factor);
	case DW_CFA_offset_extended_sf:
		reg = obj_cur_uleb(c);
		return set_rule(m, reg, OBJ_RULE_OFFSET, obj_cur_sleb(c) * factor);
	case DW_CFA_GNU_negative_offset_extended:
		reg = obj_cur_uleb(c);
		return set_rule(m, reg, OBJ_RULE_OFFSET, -(int64_t)obj_cur_uleb(c) * factor);
	case DW_CFA_restore_extended:
		return restore_rule(m, obj_cur_uleb(c));
	case DW_CFA_undefined:
		return set_rule(m, obj_cur_uleb(c), OBJ_RULE_UNDEF, 0);
	case DW_CFA_same_value:
		return set_rule(m, obj_cur_uleb(c), OBJ_RULE_SAME, 0);
	case DW_CFA_register:
		reg = obj_cur_uleb(c);
		obj_cur_uleb(c);
		return set_rule(m, reg, OBJ_RULE_OTHER, 0);
	case DW_CFA_val_offset:
		reg = obj_cur_uleb(c);
		obj_cur_uleb(c);
		return set_rule(m, reg, OBJ_RULE_OTHER, 0);
	case DW_CFA_val_offset_sf:
		reg = obj_cur_uleb(c);
		obj_cur_sleb(c);
		return set_rule(m, reg, OBJ_RULE_OTHER, 0);
	case DW_CFA_remember_state:
		return remember(m);
	case DW_CFA_restore_state:
		return recall(m);
	case DW_CFA_def_cfa:
		reg = obj_cur_uleb(c);
		return set_cfa(m, reg, (int64_t)obj_cur_uleb(c));
	case DW_CFA_def_cfa_sf:
		reg = obj_cur_uleb(c);
		return set_cfa(m, reg, obj_cur_sleb(c) * factor);
	case DW_CFA_def_cfa_register:
		return set_cfa(m, obj_cur_uleb(c), m->row.cfa_off);
	case DW_CFA_def_cfa_offset:
		return set_cfa(m, m->row.cfa_reg, (int64_t)obj_cur_uleb(c));
	case DW_CFA_def_cfa_offset_sf:
		return set_cfa(m, m->row.cfa_reg, obj_cur_sleb(c) * factor);
	case DW_CFA_def_cfa_expression:
		m->row.cfa_is_expr = true;
		m->row.cfa_expr = block(m, &m->row.cfa_expr_bytes);
		return;
	case DW_CFA_expression:
		return set_expr(m, obj_cur_uleb(c), OBJ_RULE_EXPR);
	case DW_CFA_val_expression:
		return set_expr(m, obj_cur_uleb(c), OBJ_RULE_OTHER);
	case DW_CFA_GNU_args_size:
		obj_cur_uleb(c);
		return;
	}
	c->bad = true;
}

/* The new location, or 0 if @op does not move it. */
static uint64_t step_location(struct machine *m, uint8_t op)
{
	struct obj_cur *c = &m->c;
	uint64_t at = m->row.start, code = m->cie->code_align;
	if ((op & 0xc0) == DW_CFA_advance_loc)
		return at + (op & 0x3f) * code;
	switch (op) {
	case DW_CFA_set_loc:
		return obj_cur_encoded(c, m->cie->fde_enc, m->frames->vaddr + (uint64_t)(c->p - m->frames->data));
	case DW_CFA_advance_loc1:
		return at + obj_cur_u(c, 1) * code;
	case DW_CFA_advance_loc2:
		return at + obj_cur_u(c, 2) * code;
	case DW_CFA_advance_loc4:
		return at + obj_cur_u(c, 4) * code;
	}
	return 0;
}

static int emit(struct machine *m, uint64_t end, obj_cfa_cb *cb, void *arg)
{
	m->row.end = end;
	int rc = end > m->row.start ? cb(arg, &m->row) : 0;
	m->row.start = end;
	return rc;
}

static int run(struct machine *m, uint64_t end, obj_cfa_cb *cb, void *arg)
{
	while (m->c.p < m->c.end && !m->c.bad) {
		uint8_t op = (uint8_t)obj_cur_u(&m->c, 1);
		uint64_t to = step_location(m, op);
		if (to) {
			if (cb && to > m->row.start && to < end) {
				int rc = emit(m, to, cb, arg);
				if (rc)
					return rc;
			}
		} else if ((op & 0xc0) == DW_CFA_offset) {
			set_rule(m, op & 0x3f, OBJ_RULE_OFFSET, (int64_t)obj_cur_uleb(&m->c) * m->cie->data_align);
		} else if ((op & 0xc0) == DW_CFA_restore) {
			restore_rule(m, op & 0x3f);
		} else {
			step_state(m, op);
		}
	}
	return 0;
}

int obj_cfa_rows(const struct obj_frames *f, const struct obj_fde *fde, obj_cfa_cb *cb, void *arg)
{
	struct machine m;
	m.cie = &f->cies[fde->cie];
	m.frames = f;
	m.saved_cnt = 0;
	m.row = (struct obj_cfa_row){ .start = fde->start, .ra = { .kind = OBJ_RULE_OFFSET, .off = -8 } };
	m.initial = m.row;
	m.c = (struct obj_cur){ f->data + m.cie->insns_off, f->data + m.cie->insns_off + m.cie->insns_bytes, false };
	run(&m, fde->end, NULL, NULL);
	m.initial = m.row;
	const uint8_t *insns = f->data + fde->insns_off;
	m.c = (struct obj_cur){ insns, insns + fde->insns_bytes, false };
	int rc = run(&m, fde->end, cb, arg);
	return rc ? rc : emit(&m, fde->end, cb, arg);
}

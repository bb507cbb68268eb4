/* SPDX-License-Identifier: MIT */
/* Variables and memory. */
#include "d/layout_int.h"
#include "d/lower_int.h"

static uint32_t read_reg(struct lw *l, enum ir_op op, int64_t imm)
{
	uint32_t r = ir_vreg(l->b);
	ir_emit(l->b, op, r, WIRE_NONE, WIRE_NONE, imm, 0);
	return r;
}

/* ---- keys ---- */

static bool in_tail(const struct d_key *k, bool is_agg)
{
	return d_is_string(k->type) ? !(is_agg && k->sref) : k->type->kind == D_T_STACK || d_is_whole(k->type);
}

static void put_field(struct lw *l, uint32_t slot, uint32_t field, uint32_t v)
{
	ir_emit(l->b, IR_OP_STS, WIRE_NONE, v, WIRE_NONE, slot + (int64_t)sizeof(struct wire_tuple) + field, 8);
}

static void put_tail(struct lw *l, uint32_t slot, uint32_t field, struct d_node *n, uint32_t v)
{
	enum ir_helper frames = IR_HELPER_tuple_ustack;
	if (n->type->kind == D_T_STACK && n->func->what == D_A_STACK)
		frames = IR_HELPER_tuple_kstack;
	if (n->type->kind == D_T_STACK) {
		uint64_t args[] = { slot, field, d_stack_frames(l->c, n) };
		lw_call(l, frames, args, 3);
	} else if (d_is_whole(n->type) && !d_is_charptr(n->type)) {
		uint64_t args[] = { slot, field, v, lw_const(l, d_resolve(n->type)->size) };
		lw_call(l, IR_HELPER_tuple_mem, args, 4);
	} else {
		uint64_t args[] = { slot, field, v };
		lw_call(l, IR_HELPER_tuple_str, args, 3);
	}
}

/* All keys first, because making one can use other tuples; then the fields,
 * then the tail in the order of the keys. */
uint32_t lw_env(struct lw *l, enum wire_env env)
{
	return read_reg(l, IR_OP_ENV, env);
}

/* The machine of DTrace has so many registers for keys, and one more. */
static void check_registers(struct d_compiler *c, const struct d_node *list, uint32_t cnt)
{
	char hint[64];
	if (!c->opts.tregs || cnt <= c->opts.tregs + 1u)
		return;
	struct d_place at = list->at;
	at.seen = D_NO_LINE;
	snprintf(hint, sizeof(hint), "%u keys: they want -x tregs=%u", cnt, cnt - 1);
	d_error_hint(c, at, "D_LIMIT", hint, "Insufficient tuple registers to generate code");
}

uint32_t lw_key_tuple(struct lw *l, struct d_node *list, const struct d_key *keys, uint32_t slot, const struct d_agg *agg)
{
	bool is_agg = agg != NULL;
	uint32_t cnt = 0, i = 0;
	for (struct d_node *a = list; a; a = a->next)
		cnt++;
	check_registers(l->c, list, cnt);
	uint32_t *vals = d_alloc(l->c, cnt * sizeof(*vals));
	for (struct d_node *a = list; a; a = a->next, i++) {
		if (a->type->kind == D_T_USYM)
			vals[i] = lw_addr(l, a->args);
		else if (a->type->kind != D_T_STACK)
			vals[i] = lw_as(l, a, keys[i].type);
	}
	uint64_t args[] = { slot, agg ? agg->fixed_bytes : 8ul * cnt };
	lw_call(l, IR_HELPER_tuple_begin, args, 2);
	if (agg && agg->pid_off != WIRE_NONE)
		put_field(l, slot, agg->pid_off, lw_env(l, WIRE_ENV_PID));
	if (agg && agg->cpu_off != WIRE_NONE)
		put_field(l, slot, agg->cpu_off, lw_env(l, WIRE_ENV_CPU));
	for (i = 0; i < cnt; i++)
		if (!in_tail(&keys[i], is_agg))
			put_field(l, slot, 8 * i, vals[i]);
	i = 0;
	for (struct d_node *a = list; a; a = a->next, i++)
		if (in_tail(&keys[i], is_agg))
			put_tail(l, slot, 8 * i, a, vals[i]);
	return slot;
}

static uint32_t array_tuple(struct lw *l, struct d_node *n)
{
	const struct d_var *v = n->var;
	uint32_t strs = 0;
	for (uint32_t i = 0; i < v->key_cnt; i++)
		strs += in_tail(&v->keys[i], false);
	uint32_t fixed = 8 * v->key_cnt;
	uint32_t slot = lw_tuple_slot(l, fixed, ir_tuple_bytes(fixed, strs, 0, l->c->opts.strsize));
	return lw_key_tuple(l, n->args, v->keys, slot, NULL);
}

/* ---- places ---- */

/* The key of what has none. */
static uint32_t empty_tuple(struct lw *l)
{
	return lw_key_tuple(l, NULL, NULL, lw_tuple_slot(l, 0, ir_tuple_bytes(0, 0, 0, l->c->opts.strsize)), NULL);
}

static struct lw_place var_place(struct lw *l, const struct d_var *v)
{
	static const int kinds[] = { LW_GLOBAL, LW_SELF, LW_THIS };
	if (v->is_counted)
		return (struct lw_place){ .kind = LW_DYN, .var = v, .tuple = empty_tuple(l), .addr = WIRE_NONE };
	struct lw_place p = { .off = v->off, .addr = WIRE_NONE };
	p.kind = kinds[v->scope];
	return p;
}

static struct lw_place bad_place(struct lw *l, const struct d_node *n, const char *what)
{
	lw_unsup(l, n, what);
	return (struct lw_place){ .kind = LW_BAD };
}

static struct lw_place mem_place(uint32_t addr, int64_t off)
{
	return (struct lw_place){ .kind = LW_MEM, .addr = addr, .off = off };
}

/* Where the index is known later, whether it is inside is seen at run time.  Arrays of one element are often the
 * beginning of more. */
static void check_bounds(struct lw *l, uint32_t i, const struct d_type *array)
{
	if (array->kind != D_T_ARRAY || array->cnt < 2)
		return;
	uint32_t in = lw_opk(l, IR_OP_SULT, i, (int64_t)array->cnt);
	uint32_t ok = lw_branch(l, IR_OP_BRNZ, in);
	ir_emit(l->b, IR_OP_FAULT, WIRE_NONE, i, WIRE_NONE, WIRE_FAULT_BADINDEX, 0);
	lw_land(l, ok);
}

static struct lw_place index_place(struct lw *l, struct d_node *n)
{
	struct d_type *base = d_resolve(n->l->type);
	uint32_t size = d_resolve(n->type)->size;
	struct lw_place p = base->kind == D_T_ARRAY ? lw_place_of(l, n->l) : mem_place(lw_value(l, n->l), 0);
	if (p.kind == LW_BAD)
		return p;
	/* Outside of a variable it is as if it were not known: a fault, or memory like any other. */
	bool outside = base->kind == D_T_ARRAY && (uint64_t)n->args->val >= base->cnt && (base->cnt > 1 || p.kind != LW_MEM);
	if (n->args->is_const && !outside) {
		p.off += n->args->val * size;
		return p;
	}
	uint32_t i = lw_value(l, n->args);
	check_bounds(l, i, base);
	if (size != 1)
		i = lw_opk(l, IR_OP_MUL, i, size);
	p = lw_in_memory(l, &p);
	p.addr = lw_op(l, IR_OP_ADD, p.addr, i);
	return p;
}

static struct lw_place element_place(struct lw *l, struct d_node *n)
{
	struct lw_place p = { .kind = LW_DYN, .var = n->var, .tuple = array_tuple(l, n) };
	return d_is_whole(n->type) ? lw_element(l, &p, n) : p;
}

static bool is_object(const struct d_node *n)
{
	return n->kind == N_IDENT ? n->var && n->var->kind == D_VAR_SCALAR :
	       n->kind == N_INDEX ? !n->var || n->var->kind == D_VAR_ASSOC :
	       n->kind == N_MEMBER ? !n->xl_memb : n->kind == N_UNARY && n->op == T_DEREF;
}

struct lw_place lw_place_of(struct lw *l, struct d_node *n)
{
	struct lw_place p;
	if (!is_object(n)) /* a whole by its address */
		return d_is_whole(n->type) ? mem_place(lw_value(l, n), 0) : bad_place(l, n, "this object");
	switch (n->kind) {
	case N_IDENT:
		return var_place(l, n->var);
	case N_INDEX:
		return n->var ? element_place(l, n) : index_place(l, n);
	case N_UNARY: /* * */
		if (d_resolve(n->l->type)->kind == D_T_ARRAY)
			return lw_place_of(l, n->l);
		return mem_place(lw_value(l, n->l), 0);
	default:
		if (n->op == T_ARROW)
			return mem_place(lw_value(l, n->l), n->memb_off);
		p = lw_place_of(l, n->l);
		p.off += n->memb_off;
		return p;
	}
}

/* ---- reading ---- */

static uint32_t load_area(struct lw *l, enum ir_op op, int64_t off, uint32_t size, bool is_signed)
{
	uint32_t r = ir_vreg(l->b);
	ir_emit(l->b, op, r, WIRE_NONE, WIRE_NONE, off, (uint16_t)(size | (is_signed ? IR_SIGNED : 0)));
	return r;
}

/* Instructions reach what is aligned and inside; a packed member may be neither, nor an index that is not checked. */
static bool is_direct(struct lw *l, const struct lw_place *p, uint32_t size)
{
	const struct ir_image *img = &l->c->prog.image;
	const uint32_t bytes[] = { [LW_GLOBAL] = img->global_bytes, [LW_SELF] = img->self_bytes, [LW_THIS] = img->this_bytes };
	return p->kind > LW_THIS || (!(p->off % size) && p->off >= 0 && p->off + (int64_t)size <= (int64_t)bytes[p->kind]);
}

uint32_t lw_load_int(struct lw *l, const struct lw_place *from, uint32_t size, bool is_signed)
{
	struct lw_place p = is_direct(l, from, size) ? *from : lw_in_memory(l, from);
	switch (p.kind) {
	case LW_GLOBAL:
		return load_area(l, IR_OP_LDG, p.off, size, is_signed);
	case LW_SELF:
		return load_area(l, IR_OP_LDT, p.off, size, is_signed);
	case LW_THIS:
		return load_area(l, IR_OP_LDS, p.off, size, is_signed);
	case LW_MEM: {
		uint64_t args[] = { lw_place_addr(l, &p), size, is_signed };
		return lw_call(l, IR_HELPER_copyin_u, args, 3);
	}
	case LW_DYN: {
		uint64_t args[] = { p.var->id, p.var->scope == D_SELF, p.tuple };
		return lw_call(l, IR_HELPER_dyn_load, args, 3);
	}
	default:
		return lw_const(l, 0);
	}
}

static uint32_t load_part_str(struct lw *l, const struct lw_place *p)
{
	uint64_t args[] = { lw_place_addr(l, p), lw_str_slot(l) };
	return lw_call(l, IR_HELPER_var_str_load, args, 2);
}

/* Its handle, or 0 where its length says that it is NULL. */
static uint32_t load_this_str(struct lw *l, const struct lw_place *p)
{
	uint32_t r = ir_vreg(l->b), len = load_area(l, IR_OP_LDS, p->off, 4, false);
	ir_emit(l->b, IR_OP_CONST, r, WIRE_NONE, WIRE_NONE, 0, 0);
	uint32_t null = lw_branch(l, IR_OP_BRNZ, lw_opk(l, IR_OP_SEQ, len, WIRE_STR_NULL));
	ir_emit(l->b, IR_OP_CONST, r, WIRE_NONE, WIRE_NONE, (int64_t)WIRE_SREF(WIRE_SREF_SCRATCH, (uint64_t)p->off), 0);
	lw_land(l, null);
	return r;
}

static uint32_t load_str(struct lw *l, const struct lw_place *p)
{
	uint64_t off = (uint64_t)p->off, args[] = { off, 0 };
	switch (p->kind) {
	case LW_GLOBAL:
	case LW_SELF:
		args[1] = lw_str_slot(l);
		return lw_call(l, p->kind == LW_SELF ? IR_HELPER_tstr_load : IR_HELPER_gstr_load, args, 2);
	case LW_THIS:
		return load_this_str(l, p);
	case LW_DYN: {
		uint64_t dargs[] = { p->var->id, p->var->scope == D_SELF, p->tuple, lw_str_slot(l) };
		return lw_call(l, IR_HELPER_dyn_str_load, dargs, 4);
	}
	default:
		return load_part_str(l, p);
	}
}

static uint32_t scalar_bytes(const struct d_node *n)
{
	return n->kind == N_IDENT ? d_var_bytes(n->type) : d_resolve(n->type)->size;
}

/* The value of @n, which lies at @p.  A whole's is its address. */
uint32_t lw_load(struct lw *l, const struct lw_place *p, struct d_node *n)
{
	struct d_type *t = d_resolve(n->type);
	if (t->kind == D_T_STRING)
		return load_str(l, p);
	if (d_is_whole(t))
		return lw_place_addr(l, p);
	if (n->kind == N_MEMBER && n->memb->bits)
		return lw_load_bits(l, p, n->memb);
	return lw_load_int(l, p, scalar_bytes(n), d_is_signed(t));
}

/* ---- writing ---- */

static void store_str(struct lw *l, const struct lw_place *p, uint32_t v)
{
	uint64_t args[] = { (uint64_t)p->off, v }, copy[] = { v, (uint64_t)p->off };
	switch (p->kind) {
	case LW_GLOBAL:
		lw_call(l, IR_HELPER_gstr_store, args, 2);
		break;
	case LW_SELF:
		lw_call(l, IR_HELPER_tstr_store, args, 2);
		break;
	case LW_THIS:
		lw_call(l, IR_HELPER_str_copy, copy, 2);
		break;
	case LW_DYN: {
		uint64_t dargs[] = { p->var->id, p->var->scope == D_SELF, p->tuple, v };
		lw_call(l, IR_HELPER_dyn_str_store, dargs, 4);
		break;
	}
	default: {
		uint64_t margs[] = { lw_place_addr(l, p), v };
		lw_call(l, IR_HELPER_var_str_store, margs, 2);
	}
	}
}

void lw_store_int(struct lw *l, const struct lw_place *to, uint32_t size, uint32_t v)
{
	static const enum ir_op ops[] = { [LW_GLOBAL] = IR_OP_STG, [LW_SELF] = IR_OP_STT, [LW_THIS] = IR_OP_STS };
	struct lw_place p = is_direct(l, to, size) ? *to : lw_in_memory(l, to);
	if (p.kind == LW_MEM) {
		uint64_t args[] = { lw_place_addr(l, &p), v, size };
		lw_call(l, IR_HELPER_poke, args, 3);
	} else if (p.kind == LW_DYN) {
		uint64_t args[] = { p.var->id, p.var->scope == D_SELF, p.tuple, v };
		lw_call(l, IR_HELPER_dyn_store, args, 4);
	} else if (p.kind != LW_BAD) {
		ir_emit(l->b, ops[p.kind], WIRE_NONE, v, WIRE_NONE, p.off, (uint16_t)size);
	}
}

uint32_t lw_store(struct lw *l, const struct lw_place *p, uint32_t v, const struct d_node *target)
{
	struct d_type *t = d_resolve(target->type);
	if (t->kind == D_T_STRING)
		store_str(l, p, v);
	else if (target->kind == N_MEMBER && target->memb->bits)
		v = lw_store_bits(l, p, target->memb, v);
	else
		lw_store_int(l, p, scalar_bytes(target), v);
	lw_put_back(l, p);
	return v;
}

/* ---- built-in variables ---- */

static uint32_t read_ureg(struct lw *l, int64_t i)
{
	uint64_t k = (uint64_t)(i - WIRE_XMM0);
	return i < WIRE_XMM0 ? read_reg(l, IR_OP_UREG, i) : lw_call(l, IR_HELPER_xmm, &k, 1);
}

uint32_t lw_builtin(struct lw *l, struct d_node *n)
{
	uint32_t what = n->var->id;
	uint64_t k = what;
	if (what == D_B_UREGS)
		return read_ureg(l, n->args->val);
	if (what <= D_B_ARG0 + 5)
		return read_reg(l, IR_OP_ARG, what - D_B_ARG0);
	if (what <= D_B_ARG9)
		return lw_call(l, IR_HELPER_arg, &k, 1);
	if (what == D_B_EPID)
		return lw_opk(l, IR_OP_ADD, read_reg(l, IR_OP_ENV, WIRE_ENV_CLAUSE), 1);
	if (what == D_B_UCALLER)
		return lw_call(l, IR_HELPER_uaddr_caller, NULL, 0);
	if (what == D_B_ERRNO)
		return lw_narrow(l, lw_call(l, IR_HELPER_errno, NULL, 0), n->type);
	if (what == D_B_VTIMESTAMP)
		return lw_call(l, IR_HELPER_vtimestamp, NULL, 0);
	if (what == D_B_CURTHREAD)
		return lw_call(l, IR_HELPER_curthread, NULL, 0);
	if (what == D_B_USTACKDEPTH)
		return lw_call(l, IR_HELPER_ustackdepth, NULL, 0);
	if (what == D_B_ENV + WIRE_ENV_WALLTIMESTAMP)
		return lw_call(l, IR_HELPER_walltimestamp, NULL, 0);
	if (what == D_B_KSTACKDEPTH)
		return lw_call(l, IR_HELPER_kstackdepth, NULL, 0);
	if (what == D_B_KCALLER)
		return lw_call(l, IR_HELPER_kcaller, NULL, 0);
	if (what == D_B_ZERO)
		return lw_const(l, 0);
	return read_reg(l, IR_OP_ENV, what - D_B_ENV);
}

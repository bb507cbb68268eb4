/* SPDX-License-Identifier: MIT */
/* Where variables, keys and records' fields lie; what the consumer is told. */
#include "d/check_int.h"
#include "d/layout_int.h"

#include <stdlib.h>

#define SPEC_HEAD_BYTES 16 /* of a speculated record, as DTrace counts for specsize */
#define USTACK_FRAMES 100 /* where neither ustack() nor an option says */

static void *plan_alloc(struct d_compiler *c, size_t cnt, size_t size)
{
	void *p = calloc(cnt ? cnt : 1, size);
	if (!p)
		d_oom(c);
	return p;
}

static char *plan_str(struct d_compiler *c, const char *s)
{
	char *p = strdup(s);
	if (!p)
		d_oom(c);
	return p;
}

/* ---- variables ---- */

static void place(struct d_compiler *c, struct d_var *v, uint32_t *bytes, uint32_t max)
{
	struct d_type *t = d_resolve(v->type);
	bool is_str = t->kind == D_T_STRING;
	uint32_t size = d_var_bytes(v->type);
	uint64_t off = align_up(*bytes, is_str || d_is_sou(t) || t->kind == D_T_PTR ? 8 : t->align);
	v->off = (uint32_t)off;
	if (off + size > max) {
		d_error(c, v->at, "D_LIMIT", "no room for variable %s: all of its kind can have at most %u bytes",
			v->name, max);
		return;
	}
	*bytes = (uint32_t)(off + size);
}

void d_layout_vars(struct d_compiler *c)
{
	struct ir_image *img = &c->prog.image;
	uint32_t *const bytes[] = { &img->global_bytes, &img->self_bytes, &img->this_bytes };
	static const uint32_t max[] = { IR_GLOBAL_MAX, IR_SELF_MAX, IR_SCRATCH_MAX / 2 };
	for (struct d_var *v = c->var_list; v; v = v->next) {
		if (v->is_counted)
			v->id = img->dynvar_cnt++;
		else if (v->kind == D_VAR_SCALAR)
			place(c, v, bytes[v->scope], max[v->scope]);
		else if (v->kind == D_VAR_ASSOC)
			v->id = img->dynvar_cnt++;
	}
	for (int i = 0; i < D_SCOPE_CNT; i++)
		*bytes[i] = (uint32_t)align_up(*bytes[i], 8);
	if (img->this_bytes < c->opts.this_least)
		img->this_bytes = (uint32_t)align_up(c->opts.this_least, 8);
	c->this_vars = img->this_bytes;
	img->this_bytes += c->whole_max;
	if (img->this_bytes > IR_SCRATCH_MAX / 2)
		d_error(c, (struct d_place){ 0 }, "D_LIMIT", "no room for the elements of associative arrays that a "
			"clause handles as wholes");
	if (img->dynvar_cnt > IR_DYNVARS_MAX)
		d_error(c, (struct d_place){ 0 }, "D_LIMIT", "more than %u associative arrays", IR_DYNVARS_MAX);
}

/* ---- values ---- */

/* The kernel finds execname where it runs. */
static bool is_of_process(const struct d_node *n)
{
	return n->var->id == D_B_ENV + WIRE_ENV_EXECNAME || n->var->id == D_B_ENV + WIRE_ENV_PSARGS;
}

bool d_is_interned(const struct d_compiler *c, const struct d_node *n)
{
	if (n->kind == N_STR)
		return true;
	return (n->kind == N_IDENT && n->var && n->var->kind == D_VAR_BUILTIN && d_is_string(n->type)) &&
		!(c->any_kernel && is_of_process(n));
}

/* probefunc and its like, of the record's own site. */
static enum plan_val_kind site_kind(const struct d_compiler *c, const struct d_node *n)
{
	if (!d_is_interned(c, n) || n->kind == N_STR)
		return PLAN_STR;
	switch (n->var->id - D_B_ENV) {
	case WIRE_ENV_PROBEPROV: return PLAN_PROBEPROV;
	case WIRE_ENV_PROBEMOD: return PLAN_PROBEMOD;
	case WIRE_ENV_PROBEFUNC: return PLAN_PROBEFUNC;
	case WIRE_ENV_PROBENAME: return PLAN_PROBENAME;
	default: return PLAN_STR;
	}
}

static enum plan_val_kind sym_kind(const struct d_node *n)
{
	switch ((enum d_action)n->func->what) {
	case D_A_UADDR: return PLAN_UADDR;
	case D_A_UMOD: return PLAN_UMOD;
	case D_A_UFUNC: return PLAN_UFUNC;
	case D_A_SYM: return PLAN_KSYM;
	case D_A_MOD: return PLAN_KMOD;
	default: return PLAN_USYM;
	}
}

uint32_t d_stack_frames(const struct d_compiler *c, const struct d_node *call)
{
	uint32_t dflt = c->opts.ustackframes;
	if (!strcmp(call->str, "jstack") && c->opts.jstackframes)
		dflt = c->opts.jstackframes;
	if (!strcmp(call->str, "stack") && c->opts.stackframes)
		dflt = c->opts.stackframes;
	uint32_t n = call->args ? (uint32_t)call->args->val : dflt ? dflt : USTACK_FRAMES;
	uint32_t max = c->opts.maxframes && c->opts.maxframes < IR_FRAMES_MAX ? c->opts.maxframes : IR_FRAMES_MAX;
	return n > max ? max : n;
}

static void int_val(struct plan_val *v, struct d_type *t)
{
	t = d_resolve(t);
	v->kind = t->kind == D_T_PTR ? PLAN_PTR : PLAN_INT;
	v->size = d_var_bytes(t);
	v->is_signed = d_is_signed(t);
}

/* How a value of @t is kept; *ret_tail: the most bytes it can add to the tail. */
static struct plan_val val_of(const struct d_compiler *c, struct d_type *t, uint32_t *ret_tail)
{
	struct plan_val v = { .kind = PLAN_STR };
	t = d_resolve(t);
	*ret_tail = 0;
	if (t->kind == D_T_STRING) {
		*ret_tail = ir_tail_bytes(c->opts.strsize);
	} else if (d_is_whole(t)) {
		v.kind = PLAN_BYTES;
		v.size = t->kind == D_T_ARRAY && t->align == 1;
		v.is_float = t->kind == D_T_FLOAT;
		*ret_tail = (uint32_t)align_up(t->size, 8);
	} else {
		int_val(&v, t);
	}
	return v;
}

static struct plan_val node_val(const struct d_compiler *c, const struct d_node *n, uint32_t *ret_tail)
{
	struct plan_val v = val_of(c, n->as_string ? c->t.string : n->type, ret_tail);
	if (n->type->kind == D_T_STACK) {
		v = (struct plan_val){ .kind = PLAN_USTACK, .depth = d_stack_frames(c, n) };
		v.is_kernel = n->func->what == D_A_STACK;
		v.strbytes = n->args && n->args->next ? (uint32_t)n->args->next->val : 0;
		*ret_tail = 8 * v.depth;
	} else if (n->type->kind == D_T_USYM) {
		v = (struct plan_val){ .kind = sym_kind(n), .size = 8 };
		*ret_tail = 0;
	} else if (d_is_interned(c, n)) {
		v = (struct plan_val){ .kind = PLAN_STR, .sref = true };
		*ret_tail = 0;
	}
	return v;
}

/* ---- aggregations ---- */

static struct plan_val key_val(const struct d_compiler *c, const struct d_key *k, uint32_t *ret_tail)
{
	struct plan_val v = val_of(c, k->type, ret_tail);
	if (k->type->kind == D_T_STACK || k->type->kind == D_T_USYM) {
		v = node_val(c, k->first, ret_tail);
		if (v.kind == PLAN_USTACK) {
			v.depth = k->depth;
			*ret_tail = 8 * k->depth;
		}
	} else if (v.kind == PLAN_BYTES) {
		*ret_tail = ir_tail_bytes(c->opts.strsize); /* what the verifier wants of tuple_mem */
	} else if (v.kind == PLAN_STR && !k->mixed) {
		v.sref = true;
		*ret_tail = 0;
	}
	return v;
}

/* Of some process: which one has to be known. */
static bool has_address(const struct plan_val *v)
{
	return (v->kind == PLAN_USTACK && !v->is_kernel) || (v->kind >= PLAN_USYM && v->kind <= PLAN_UFUNC);
}

static void layout_agg(struct d_compiler *c, struct d_agg *a, struct plan_agg *p)
{
	p->name = plan_str(c, a->name);
	p->keys = plan_alloc(c, a->key_cnt, sizeof(*p->keys));
	p->key_cnt = a->key_cnt;
	p->key_bytes = a->fixed_bytes = 8 * a->key_cnt;
	p->is_signed = a->is_signed;
	bool has_addrs = false;
	for (uint32_t i = 0; i < a->key_cnt; i++) {
		uint32_t tail;
		p->keys[i] = key_val(c, &a->keys[i], &tail);
		p->keys[i].off = 8 * i;
		a->tail_bytes += tail;
		a->keys[i].sref = p->keys[i].sref;
		has_addrs |= has_address(&p->keys[i]);
	}
	p->pid_off = p->cpu_off = WIRE_NONE;
	if (c->any_kernel && has_addrs) {
		p->pid_off = p->key_bytes;
		p->key_bytes += 8;
	}
	if (c->opts.aggpercpu) {
		p->cpu_off = p->key_bytes;
		p->key_bytes += 8;
	}
	a->pid_off = p->pid_off;
	a->cpu_off = p->cpu_off;
	a->fixed_bytes = p->key_bytes;
}

void d_layout_aggs(struct d_compiler *c)
{
	struct plan *plan = &c->prog.plan;
	if (c->agg_cnt > IR_AGGS_MAX) {
		d_error(c, (struct d_place){ 0 }, "D_LIMIT", "more than %u aggregations", IR_AGGS_MAX);
		return;
	}
	plan->aggs = plan_alloc(c, c->agg_cnt, sizeof(*plan->aggs));
	plan->agg_cnt = c->agg_cnt;
	c->prog.image.aggs = plan_alloc(c, c->agg_cnt, sizeof(*c->prog.image.aggs));
	c->prog.image.agg_cnt = c->agg_cnt;
	for (struct d_agg *a = c->agg_list; a; a = a->next) {
		layout_agg(c, a, &plan->aggs[a->id]);
		c->prog.image.aggs[a->id] = a->desc;
	}
}

/* ---- records ---- */

/* The record has it already, in its header. */
static bool is_timestamp(const struct d_node *n)
{
	return n->kind == N_IDENT && n->var && n->var->kind == D_VAR_BUILTIN && n->var->id == D_B_ENV + WIRE_ENV_TIMESTAMP;
}

static struct plan_act *add_act(struct d_rec_layout *r, struct d_node *n, enum plan_act_kind kind, uint32_t val_max)
{
	struct plan_clause *pc = r->pc;
	if (!(pc->act_cnt & (pc->act_cnt - 1))) { /* a power of two: it is full */
		size_t cap = pc->act_cnt ? pc->act_cnt * 2 : 1;
		struct plan_act *acts = realloc(pc->acts, cap * sizeof(*acts));
		if (!acts)
			d_oom(r->c);
		pc->acts = acts;
	}
	struct plan_act *a = &pc->acts[pc->act_cnt];
	*a = (struct plan_act){ .kind = kind, .guard = r->guard };
	n->act = pc->act_cnt++;
	a->vals = plan_alloc(r->c, val_max, sizeof(*a->vals));
	r->has_data = true;
	return a;
}

static void add_val(struct d_rec_layout *r, struct plan_act *a, struct plan_val v, uint32_t tail)
{
	bool is_str = v.kind == PLAN_STR || v.kind >= PLAN_PROBEPROV;
	r->has_addrs |= has_address(&v);
	r->nominal += is_str ? r->c->opts.strsize : 8 + tail;
	if (v.kind < PLAN_TIME) {
		v.off = r->fixed;
		r->fixed += 8;
		r->tail += tail;
	}
	a->vals[a->val_cnt++] = v;
}

static void add_node(struct d_rec_layout *r, struct plan_act *a, struct d_node *n)
{
	uint32_t tail;
	struct plan_val v = node_val(r->c, n, &tail);
	if (v.kind == PLAN_STR && site_kind(r->c, n) != PLAN_STR)
		v = (struct plan_val){ .kind = site_kind(r->c, n) };
	else if (is_timestamp(n))
		v.kind = PLAN_TIME;
	add_val(r, a, v, tail);
}

static void add_int(struct d_rec_layout *r, struct plan_act *a, uint32_t size)
{
	add_val(r, a, (struct plan_val){ .kind = PLAN_INT, .size = size, .is_signed = true }, 0);
}

static void add_aggs(struct d_rec_layout *r, struct plan_act *a, struct d_node *list)
{
	a->aggs = plan_alloc(r->c, d_node_cnt(list), sizeof(*a->aggs));
	for (; list; list = list->next)
		a->aggs[a->agg_cnt++] = list->agg->id;
}

static void layout_printf(struct d_rec_layout *r, struct d_node *n, enum plan_act_kind kind)
{
	struct plan_act *a = add_act(r, n, kind, d_node_cnt(n->args));
	a->fmt = plan_str(r->c, n->args->str);
	for (struct d_node *v = n->args->next; v; v = v->next)
		add_node(r, a, v);
}

static void layout_printa(struct d_rec_layout *r, struct d_node *n)
{
	struct plan_act *a = add_act(r, n, PLAN_PRINTA, 0);
	bool fmt = n->args->kind == N_STR;
	if (fmt)
		a->fmt = plan_str(r->c, n->args->str);
	add_aggs(r, a, fmt ? n->args->next : n->args);
}

static void layout_tracemem(struct d_rec_layout *r, struct d_node *n)
{
	struct plan_act *a = add_act(r, n, PLAN_TRACEMEM, 2);
	struct d_node *size = n->args->next;
	add_val(r, a, (struct plan_val){ .kind = PLAN_BYTES }, (uint32_t)align_up((uint64_t)size->val, 8));
	if (size->next)
		add_int(r, a, 8);
}

static void layout_print(struct d_rec_layout *r, struct d_node *n)
{
	struct plan_act *a = add_act(r, n, PLAN_PRINT, 2);
	add_val(r, a, (struct plan_val){ .kind = PLAN_PTR, .size = 8 }, 0);
	add_val(r, a, (struct plan_val){ .kind = PLAN_BYTES }, (uint32_t)align_up(d_print_bytes(n), 8));
	a->type = d_print_type(r->c, n);
}

static void layout_agg_act(struct d_rec_layout *r, struct d_node *n, enum plan_act_kind kind)
{
	struct plan_act *a = add_act(r, n, kind, 1);
	struct d_node *val = n->args->next;
	n->args->next = NULL; /* only the first is an aggregation */
	add_aggs(r, a, n->args);
	n->args->next = val;
	a->has_arg = val != NULL;
	if (val)
		add_int(r, a, 8);
}

static void layout_vals(struct d_rec_layout *r, struct d_node *n, enum plan_act_kind kind)
{
	struct plan_act *a = add_act(r, n, kind, d_node_cnt(n->args));
	for (struct d_node *v = n->args; v; v = v->next)
		add_node(r, a, v);
}

static void layout_self(struct d_rec_layout *r, struct d_node *n, enum plan_act_kind kind)
{
	add_node(r, add_act(r, n, kind, 1), n);
}

/* Where nothing else is recorded, the probe's line is. */
static void layout_speculate(struct d_rec_layout *r)
{
	r->has_data = true;
	if (r->speculates)
		return;
	r->speculates = r->pc->speculates = true;
	r->pc->spec_off = r->fixed;
	r->fixed += 8;
}

static void layout_act(struct d_rec_layout *r, struct d_node *n)
{
	switch ((enum d_action)n->func->what) {
	case D_A_TRACE: layout_vals(r, n, PLAN_TRACE); break;
	case D_A_TRACEMEM: layout_tracemem(r, n); break;
	case D_A_PRINTF: layout_printf(r, n, PLAN_PRINTF); break;
	case D_A_SYSTEM: layout_printf(r, n, PLAN_SYSTEM); break;
	case D_A_FREOPEN: layout_printf(r, n, PLAN_FREOPEN); break;
	case D_A_PRINTA: layout_printa(r, n); break;
	case D_A_USTACK: layout_self(r, n, PLAN_STACK); break;
	case D_A_USYM: case D_A_UADDR: case D_A_UMOD: case D_A_UFUNC: layout_self(r, n, PLAN_SYM); break;
	case D_A_EXIT: add_int(r, add_act(r, n, PLAN_EXIT, 1), 4); break;
	case D_A_CLEAR: layout_agg_act(r, n, PLAN_CLEAR); break;
	case D_A_TRUNC: layout_agg_act(r, n, PLAN_TRUNC); break;
	case D_A_NORMALIZE: layout_agg_act(r, n, PLAN_NORMALIZE); break;
	case D_A_DENORMALIZE: layout_agg_act(r, n, PLAN_DENORMALIZE); break;
	case D_A_SETOPT: layout_vals(r, n, PLAN_SETOPT); break;
	case D_A_PRINT: layout_print(r, n); break;
	case D_A_SPECULATE: layout_speculate(r); break;
	case D_A_COMMIT: add_int(r, add_act(r, n, PLAN_COMMIT, 1), 8); break;
	case D_A_DISCARD: add_int(r, add_act(r, n, PLAN_DISCARD, 1), 8); break;
	case D_A_FTRUNCATE: add_act(r, n, PLAN_FTRUNCATE, 0); break;
	case D_A_STACK: layout_self(r, n, PLAN_STACK); break;
	case D_A_SYM: case D_A_MOD: layout_self(r, n, PLAN_SYM); break;
	case D_A_RAISE: case D_A_STOP: case D_A_CHILL: case D_A_KERNEL: r->has_data = true; break;
	case D_A_NONE: break;
	}
}

bool d_is_action(const struct d_node *stmt)
{
	return stmt->kind == N_EXPR_STMT && stmt->l->kind == N_CALL && stmt->l->func &&
		stmt->l->func->kind == D_F_ACTION;
}

static void layout_list(struct d_rec_layout *r, struct d_node *list);

/* A part of an if that records data itself gets a bit of the record's mask. */
static void layout_branch(struct d_rec_layout *r, struct d_node *list, int *ret_guard)
{
	int outer = r->guard;
	bool direct = false;
	for (struct d_node *n = list; n; n = n->next)
		direct |= d_is_action(n);
	*ret_guard = -1;
	if (direct && r->guard_cnt == 64) {
		d_error(r->c, list->at, "D_LIMIT", "more than 64 branches of a clause record data: split the clause");
		return;
	}
	if (direct)
		r->guard = *ret_guard = r->guard_cnt++;
	layout_list(r, list);
	r->guard = outer;
}

static void layout_list(struct d_rec_layout *r, struct d_node *list)
{
	for (struct d_node *n = list; n; n = n->next) {
		if (n->kind == N_IF) {
			layout_branch(r, n->r, &n->guard);
			layout_branch(r, n->third, &n->else_guard);
		} else if (d_is_action(n)) {
			layout_act(r, n->l);
		}
	}
}

static void copy_descs(struct d_rec_layout *r, struct d_node *clause)
{
	struct plan_clause *pc = r->pc;
	pc->descs = plan_alloc(r->c, d_node_cnt(clause->args), sizeof(*pc->descs));
	for (const struct d_node *d = clause->args; d; d = d->next) {
		struct plan_probe_desc *to = &pc->descs[pc->desc_cnt++];
		*to = *d->desc;
		to->prov = to->mod = to->func = to->name = NULL; /* the arena's: not to be freed by plan_deinit */
		to->prov = plan_str(r->c, d->desc->prov);
		to->mod = plan_str(r->c, d->desc->mod);
		to->func = plan_str(r->c, d->desc->func);
		to->name = plan_str(r->c, d->desc->name);
	}
}

void d_layout_clause(struct d_rec_layout *r, struct d_node *clause)
{
	r->guard = -1;
	r->pc->mask_off = WIRE_NONE;
	copy_descs(r, clause);
	layout_list(r, clause->r);
	if (r->guard_cnt) {
		r->pc->mask_off = r->fixed;
		r->fixed += 8;
	}
	r->pc->pid_off = WIRE_NONE;
	if (r->c->any_kernel && r->has_addrs) {
		r->pc->pid_off = r->fixed;
		r->fixed += 8;
	}
	r->pc->is_default = !clause->r;
	r->pc->spec_bytes = (uint32_t)(r->nominal > IR_REC_MAX ? IR_REC_MAX : r->nominal) + SPEC_HEAD_BYTES;
	r->has_data |= r->pc->is_default;
	if (r->fixed > UINT16_MAX || r->fixed + (uint64_t)r->tail > IR_REC_MAX) {
		d_error(r->c, clause->at, "D_LIMIT", "the clause records more than a record can hold: split it");
		r->failed = true;
	}
}

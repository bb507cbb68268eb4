/* SPDX-License-Identifier: MIT */
/*
 * args[] of functions, and variables of the traced program.  Both become what
 * a script could have written without them: (T)arg0, *(T *)arg1,
 * *(T *)ADDRESS; so nothing behind the check knows of them.
 */
#include "d/check_int.h"

#include <ctype.h>
#include <errno.h>

#define PROTOS_MAX 256

/* ---- making nodes ---- */

static struct d_node *node(struct d_compiler *c, enum d_node_kind kind, const struct d_node *at)
{
	struct d_node *n = d_alloc(c, sizeof(*n));
	n->kind = kind;
	n->at = at->at;
	n->type = c->t.err;
	n->height = 1;
	return n;
}

static struct d_node *int_node(struct d_compiler *c, const struct d_node *at, uint64_t v)
{
	struct d_node *n = node(c, N_INT, at);
	n->is_const = true;
	n->val = (int64_t)v;
	n->type = c->t.ulong;
	return n;
}

static struct d_node *word(struct d_compiler *c, const struct d_node *at, const char *name)
{
	struct d_node *n = node(c, N_IDENT, at);
	n->str = d_intern(c, name, strlen(name));
	return n;
}

static struct d_node *arg_node(struct d_compiler *c, const struct d_node *at, uint32_t i)
{
	char name[8] = { 'a', 'r', 'g', (char)('0' + i) };
	return word(c, at, name);
}

static struct d_node *cast(struct d_compiler *c, struct d_type *t, struct d_node *l)
{
	struct d_node *n = node(c, N_CAST, l);
	n->type = t;
	n->l = l;
	n->height = (uint16_t)(l->height + 1);
	return n;
}

/* @n becomes *(T *)@addr. */
static void become_deref(struct d_compiler *c, struct d_node *n, struct d_type *t, struct d_node *addr)
{
	struct d_node *next = n->next, *l = cast(c, d_type_ptr(c, t), addr);
	struct d_place at = n->at;
	*n = (struct d_node){ .kind = N_UNARY, .op = T_DEREF, .at = at, .next = next, .l = l,
			      .height = (uint16_t)(l->height + 1) };
	d_complete(c, t);
	d_check_expr(c, n);
	n->is_target = true;
}

static void become_cast(struct d_compiler *c, struct d_node *n, struct d_type *t, struct d_node *val)
{
	struct d_node *next = n->next;
	struct d_place at = n->at;
	/* Only the low byte of a _Bool in a register means something. */
	if (d_resolve(t)->is_bool)
		val = cast(c, c->t.uchar, val);
	*n = *cast(c, t, val);
	n->at = at;
	n->next = next;
	d_check_expr(c, n);
	n->is_target = true;
}

static struct d_node *reg_node(struct d_compiler *c, const struct d_node *at, struct d_node *index)
{
	struct d_node *n = node(c, N_INDEX, at);
	n->l = word(c, at, "uregs");
	n->args = index;
	return n;
}

/* Word @i of what was pushed before the return address. */
static struct d_node *stack_word(struct d_compiler *c, const struct d_node *at, uint32_t i)
{
	struct d_node *sum = node(c, N_BINARY, at);
	sum->op = T_ADD;
	sum->l = reg_node(c, at, word(c, at, "R_SP"));
	sum->r = int_node(c, at, 8 + 8ul * i);
	sum->height = 2;
	return sum;
}

/* ---- small structures in registers ---- */

static struct d_node *assign(struct d_compiler *c, struct d_node *to, struct d_node *val)
{
	struct d_node *n = node(c, N_ASSIGN, val);
	n->op = T_ASGN;
	n->l = to;
	n->r = val;
	n->height = (uint16_t)(val->height + 2);
	return n;
}

static struct d_node *comma(struct d_compiler *c, struct d_node *l, struct d_node *r)
{
	struct d_node *n = node(c, N_COMMA, l);
	n->l = l;
	n->r = r;
	n->height = (uint16_t)((l->height > r->height ? l->height : r->height) + 1);
	return n;
}

/* A pointer of ours that no script can name. */
static struct d_node *scratch(struct d_compiler *c, const struct d_node *at)
{
	const char *name = d_intern(c, "args[]", 6);
	struct d_node *n = word(c, at, name);
	n->scope = D_THIS;
	if (!d_var_find(c, D_THIS, name))
		d_var_new(c, D_THIS, name, D_VAR_SCALAR, d_type_ptr(c, c->t.ulong), at->at);
	return n;
}

static struct d_node *scratch_word(struct d_compiler *c, const struct d_node *at, uint64_t i)
{
	struct d_node *n = node(c, N_INDEX, at);
	n->l = scratch(c, at);
	n->args = int_node(c, at, i);
	n->height = 2;
	return n;
}

/* *(T *)(p = alloca(16), p[0] = @lo, p[1] = @hi, p) */
static void become_pair(struct d_compiler *c, struct d_node *n, struct d_type *t, struct d_node *lo, struct d_node *hi)
{
	struct d_node *mem = node(c, N_CALL, n);
	mem->str = d_intern(c, "alloca", 6);
	mem->args = int_node(c, n, 16);
	struct d_node *l = assign(c, scratch(c, n), cast(c, d_type_ptr(c, c->t.ulong), mem));
	l = comma(c, l, assign(c, scratch_word(c, n, 0), cast(c, c->t.ulong, lo)));
	l = comma(c, l, assign(c, scratch_word(c, n, 1), cast(c, c->t.ulong, hi)));
	become_deref(c, n, t, comma(c, l, scratch(c, n)));
}

/* ---- args[] ---- */

struct arg {
	const struct tdesc *type;
	enum tdesc_where where;
	uint32_t slots[2];
	const char *d_type; /* see struct tdesc_param */
	bool is_xlated;
};

static bool is_pid(const struct plan_probe_desc *d)
{
	return !strncmp(d->prov, "pid", 3) && isdigit((unsigned char)d->prov[3]);
}

/* A probe that a process declares itself. */
static bool is_usdt(const struct plan_probe_desc *d)
{
	size_t len = strlen(d->prov);
	return len && (isdigit((unsigned char)d->prov[len - 1]) || strpbrk(d->prov, "*?[")) && !is_pid(d);
}

static void bad_index(struct d_compiler *c, const struct d_node *n, const struct plan_probe_desc *d, const char *why)
{
	d_error(c, n->at, "D_ARGS_IDX", "index %lld is out of range for %s:%s:%s:%s args[ ]%s%s",
		(long long)n->args->val, d->prov, d->mod, d->func, d->name, why ? ": " : "", why ? why : "");
}

/* The Nth argument of one function's probe. */
static bool arg_of(const struct tdesc *f, bool is_return, int64_t i, struct arg *ret)
{
	static const struct tdesc offset = { .kind = TDESC_INT, .name = "uint64_t", .bytes = 8, .loaded = true };
	if (is_return && i == 0) {
		*ret = (struct arg){ &offset, TDESC_ARG, { 0, TDESC_NO_WORD } };
		return true;
	}
	if (is_return && i == 1 && f->base && f->base->kind != TDESC_VOID) {
		*ret = (struct arg){ f->base, f->where, { 1, TDESC_NO_WORD } };
		if (f->where == TDESC_WORDS)
			memcpy(ret->slots, f->slots, sizeof(ret->slots));
		return true;
	}
	if (is_return || i < 0 || i >= (int64_t)f->part_cnt)
		return false;
	const struct tdesc_param *p = &f->params[i];
	*ret = (struct arg){ p->type, p->where, { p->slots[0], p->slots[1] }, p->d_type, p->is_xlated };
	return true;
}

static bool same_arg(struct d_compiler *c, const struct arg *a, const struct arg *b)
{
	if (a->d_type || b->d_type)
		return a->slots[0] == b->slots[0] && a->d_type && b->d_type && !strcmp(a->d_type, b->d_type);
	return a->where == b->where && (a->where == TDESC_LOST || a->slots[0] == b->slots[0]) &&
		(a->where != TDESC_WORDS || a->slots[1] == b->slots[1]) && d_type_same(d_ext_type(c, a->type), d_ext_type(c, b->type));
}

static void unstable(struct d_compiler *c, const struct d_node *n, const struct plan_probe_desc *d)
{
	d_error(c, n->at, "D_ARGS_MULTI", "args[ ] may not be referenced because probe description %s:%s:%s:%s "
		"matches an unstable set of probes", d->prov, d->mod, d->func, d->name);
}

/* Ours: they have no types. */
static bool is_tool(const struct plan_probe_desc *d)
{
	return !strcmp(d->prov, "dtrace") || !strcmp(d->name, "BEGIN") || !strcmp(d->name, "END") || !strcmp(d->name, "ERROR") ||
		!strncmp(d->name, "tick-", 5) || !strncmp(d->name, "profile-", 8);
}

/* Of all functions that a description means. */
static bool arg_of_desc(struct d_compiler *c, const struct d_node *n, const struct plan_probe_desc *d, struct arg *ret)
{
	const struct d_types *h = &c->opts.types;
	const struct tdesc *f[PROTOS_MAX];
	bool is_return = is_pid(d) && !strcmp(d->name, "return");
	uint32_t unknown = 0, cnt;
	if (is_tool(d) || (is_pid(d) && !is_return && strcmp(d->name, "entry"))) {
		bad_index(c, n, d, NULL);
		return false;
	}
	cnt = h->protos ? h->protos(h->arg, d, f, PROTOS_MAX, &unknown) : 0;
	if (!cnt) {
		bad_index(c, n, d, is_usdt(d) ? "no program that declares it has been loaded" : !is_pid(d) ? NULL :
			  "no debug information tells what its arguments are; arg0, arg1, ... have them as integers");
		return false;
	}
	for (uint32_t i = 0; i < cnt; i++) {
		struct arg a;
		if (!arg_of(f[i], is_return, n->args->val, &a)) {
			if (cnt == 1)
				bad_index(c, n, d, NULL);
			else
				unstable(c, n, d);
			return false;
		}
		if (!i) {
			*ret = a;
		} else if (!same_arg(c, ret, &a)) {
			unstable(c, n, d);
			return false;
		}
	}
	if (unknown || cnt == PROTOS_MAX) {
		unstable(c, n, d);
		return false;
	}
	return true;
}

static bool index_ok(struct d_compiler *c, struct d_node *n)
{
	struct d_node *a = n->args;
	uint32_t cnt = 0;
	for (struct d_node *i = a; i; i = i->next)
		cnt++;
	d_check_expr(c, a);
	if (d_bad(a))
		return false;
	if (cnt != 1)
		d_error(c, n->at, "D_PROTO_LEN", "args[ ] prototype mismatch: %u args passed, 1 expected", cnt);
	else if (!a->is_const || !d_is_int(a->type))
		d_error(c, a->at, "D_PROTO_ARG", "args[ ] argument #1 is incompatible with "
			"prototype:\n\tprototype: integer constant\n\t argument: %s", d_type_str(c, a->type));
	else if (!c->clause)
		d_error(c, n->at, "D_ARGS_NONE", "args[ ] may not be referenced outside of a probe clause");
	else
		return true;
	return false;
}

static struct d_node *word_node(struct d_compiler *c, const struct d_node *at, uint32_t slot)
{
	if (slot == TDESC_NO_WORD)
		return int_node(c, at, 0);
	if (slot == TDESC_RDX)
		return reg_node(c, at, word(c, at, "R_RDX"));
	if (slot >= TDESC_XMM(0))
		return reg_node(c, at, int_node(c, at, WIRE_XMM0 + slot - TDESC_XMM(0)));
	return arg_node(c, at, slot);
}

/* "psinfo_t *" as D knows it; NULL: it does not. */
static struct d_type *type_named(struct d_compiler *c, const char *text)
{
	size_t len = strcspn(text, " *");
	struct d_type *t = d_typename(c, d_intern(c, text, len));
	for (const char *p = text + len; t && *p; p++)
		t = *p == '*' ? d_type_ptr(c, t) : t;
	return t;
}

/* n becomes xlate <T>((U)argN). */
static void become_xlated(struct d_compiler *c, struct d_node *n, const struct arg *a, struct d_type *t)
{
	struct d_node *next = n->next, *x = node(c, N_XLATE, n);
	x->op_type = t;
	x->l = cast(c, d_ext_type(c, a->type), arg_node(c, n, a->slots[0]));
	x->height = (uint16_t)(x->l->height + 1);
	if (!d_can_xlate(c, t, x->l)) {
		d_error(c, n->at, "D_ARGS_XLATOR", "translator for args[%lld] from %s to %s is not defined",
			(long long)n->args->val, d_type_str(c, x->l->type), d_type_str(c, t));
		return;
	}
	*n = *x;
	n->next = next;
	d_check_expr(c, n);
}

/* A string in the memory of the process. */
static void become_string(struct d_compiler *c, struct d_node *n, const struct arg *a)
{
	struct d_node *next = n->next, *call = node(c, N_CALL, n);
	call->str = d_intern(c, "copyinstr", 9);
	call->args = arg_node(c, n, a->slots[0]);
	call->height = 2;
	*n = *call;
	n->next = next;
	d_check_expr(c, n);
}

static void become_d_type(struct d_compiler *c, struct d_node *n, const struct arg *a)
{
	struct d_type *t = !strcmp(a->d_type, "string") ? c->t.string : type_named(c, a->d_type);
	if (!t)
		d_error(c, n->at, "D_ARGS_TYPE", "args[%lld] is a %s, which is not declared", (long long)n->args->val, a->d_type);
	else if (t == c->t.string)
		become_string(c, n, a);
	else if (a->is_xlated)
		become_xlated(c, n, a, t);
	else
		become_cast(c, n, t, arg_node(c, n, a->slots[0]));
}

static void become_arg(struct d_compiler *c, struct d_node *n, const struct arg *a)
{
	if (a->d_type) {
		become_d_type(c, n, a);
		return;
	}
	struct d_type *t = d_ext_type(c, a->type);
	uint32_t slot = a->slots[0];
	bool in_word = a->where == TDESC_ARG && slot < D_PREC_CNT;
	if (a->where == TDESC_LOST || (in_word && !d_is_scalar(t)))
		d_error(c, n->at, "D_ARGS_TYPE", "args[%lld] of type %s is in no register that can be read: uregs[] "
			"and copyin() show what there is", (long long)n->args->val, d_type_str(c, t));
	else if (in_word)
		become_cast(c, n, t, arg_node(c, n, slot));
	else if (a->where == TDESC_WORDS)
		become_pair(c, n, t, word_node(c, n, slot), word_node(c, n, a->slots[1]));
	else if (a->where == TDESC_AT_ARG && slot < D_PREC_CNT)
		become_deref(c, n, t, arg_node(c, n, slot));
	else /* arg6 is the first word of the stack */
		become_deref(c, n, t, stack_word(c, n, a->where == TDESC_ARG ? slot - 6 : slot));
}

void d_check_args_index(struct d_compiler *c, struct d_node *n)
{
	struct arg first = { 0 }, a;
	bool any = false;
	n->type = c->t.err;
	if (!index_ok(c, n))
		return;
	for (struct d_node *p = c->clause->args; p; p = p->next, any = true) {
		if (!p->desc || !arg_of_desc(c, n, p->desc, &a))
			return;
		if (any && !same_arg(c, &first, &a)) {
			unstable(c, n, p->desc);
			return;
		}
		first = a;
	}
	if (any)
		become_arg(c, n, &first);
}

/* ---- variables ---- */

static bool enumerator(struct d_compiler *c, struct d_node *n, const char *scope, const char *name)
{
	const struct d_types *h = &c->opts.types;
	struct tdesc_const k;
	if (!h->enumerator || d_func_find(c, name) || !h->enumerator(h->arg, scope, name, &k))
		return false;
	n->type = d_ext_type(c, k.type);
	n->is_const = true;
	n->val = d_canon(n->type, k.val);
	return true;
}

bool d_ext_ident(struct d_compiler *c, struct d_node *n)
{
	const struct d_types *h = &c->opts.types;
	const char *tick = strrchr(n->str, '`');
	struct tdesc_var var;
	struct err e = { 0 };
	if (!tick)
		return enumerator(c, n, NULL, n->str);
	if (!h->var)
		return false;
	const char *scope = tick == n->str ? NULL : d_intern(c, n->str, (size_t)(tick - n->str));
	int rc = h->var(h->arg, scope, tick + 1, &var, &e);
	if (rc == -ENOENT && enumerator(c, n, scope, tick + 1))
		return true;
	n->type = c->t.err;
	if (rc < 0)
		d_error(c, n->at, "D_IDENT_UNDEF", "failed to resolve %s: %s", n->str, e.msg);
	else if (!var.type || var.type->kind == TDESC_VOID)
		d_error(c, n->at, "D_SYM_NOTYPES", "no type information is available for symbol %s", n->str);
	else
		become_deref(c, n, d_ext_type(c, var.type), int_node(c, n, var.addr));
	return true;
}

/* SPDX-License-Identifier: MIT */
/* Calls of subroutines; what calls of actions have in common with them. */
#include "d/check_int.h"

#include <ctype.h>

static struct d_type *result_type(struct d_compiler *c, const char *name)
{
	const struct d_basics *b = &c->t;
	if (!strcmp(name, "void"))
		return b->void_;
	if (!strcmp(name, "string"))
		return b->string;
	if (!strcmp(name, "int"))
		return b->int_;
	if (!strcmp(name, "void *"))
		return d_type_ptr(c, b->void_);
	if (!strcmp(name, "stack"))
		return b->stack;
	if (!strcmp(name, "_usymaddr"))
		return b->usym;
	if (!strcmp(name, "_symaddr"))
		return b->ksym;
	struct d_type *t = d_typename(c, d_intern(c, name, strlen(name)));
	return t ? t : b->err;
}

static const char *letter_name(char letter)
{
	switch (toupper((unsigned char)letter)) {
	case 'I': return "integer";
	case 'P': return "address (pointer or integer)";
	case 'Q': return "pointer to memory of alloca( )";
	case 'S': return "string";
	default: return "aggregation";
	}
}

/* The @i-th of the types that messages name, or what the letter stands for. */
static const char *proto_type(struct d_compiler *c, const struct d_func *f, size_t i, char letter)
{
	const char *s = f->proto;
	for (; s && i; i--)
		s = strchr(s, ',') ? strchr(s, ',') + 2 : NULL;
	return s ? d_strndup(c, s, strcspn(s, ",")) : letter_name(letter);
}

static bool points_to_void(struct d_type *t)
{
	return d_resolve(t)->kind == D_T_PTR && d_resolve(d_pointee(t))->kind == D_T_VOID;
}

static bool points_to(struct d_type *t, bool (*is)(const struct d_type *))
{
	struct d_type *to = d_is_ptr(t) ? d_pointee(t) : NULL;
	to = to ? d_resolve(to) : NULL;
	return to && (to->kind == D_T_VOID || is(to));
}

static bool is_ip4(const struct d_type *t) { return t->kind == D_T_INT && t->size == 4; }
static bool is_ip6(const struct d_type *t) { return t->kind == D_T_STRUCT && t->name && !strcmp(t->name, "in6_addr"); }
static bool is_mutex(const struct d_type *t) { return t->kind == D_T_STRUCT && t->name && !strcmp(t->name, "mutex"); }
static bool is_rwlock(const struct d_type *t) { return t->kind == D_T_STRUCT; } /* of a typedef, whose name is lost */

static bool fits(const struct d_node *a, char letter)
{
	struct d_type *t = a->type;
	switch (toupper((unsigned char)letter)) {
	case 'I': return d_is_int(t);
	case 'K': return d_is_int(t) && a->is_const;
	case 'P': return d_is_int(t) || d_is_ptr(t);
	case 'Q': return d_is_ptr(t) || d_is_string(t) || d_is_null(a);
	case '4': return points_to(t, is_ip4) || d_is_null(a);
	case '6': return points_to(t, is_ip6) || d_is_null(a);
	case 'M': return points_to(t, is_mutex) || d_is_null(a);
	case 'W': return points_to(t, is_rwlock) || d_is_null(a);
	case 'S': return d_is_strlike(t) || points_to_void(t) || d_is_null(a);
	case '@': return d_resolve(t)->kind == D_T_AGG;
	default: return true;
	}
}

static bool check_count(struct d_compiler *c, const struct d_node *n, const char *name, const char *letters)
{
	uint32_t have = 0, min = 0, max = 0;
	bool more = false;
	for (const struct d_node *a = n->args; a; a = a->next)
		have++;
	for (const char *l = letters; *l; l++) {
		if (*l == '.') {
			more = true;
			continue;
		}
		max++;
		min += !isupper((unsigned char)*l);
	}
	if (have >= min && (more || have <= max))
		return true;
	d_error(c, n->at, "D_PROTO_LEN", "%s( ) prototype mismatch: %u arg%s passed, %s%u expected", name, have,
		have == 1 ? "" : "s",
		min == max && !more ? "" : have < min ? "at least " : "at most ", have < min ? min : max);
	return false;
}

void d_check_args(struct d_compiler *c, struct d_node *n, const struct d_func *f, const char *letters)
{
	size_t i = 0, len = strlen(letters);
	for (struct d_node *a = n->args; a; a = a->next)
		d_check_expr(c, a);
	if (!check_count(c, n, f->name, letters)) {
		n->type = c->t.err;
		return;
	}
	for (struct d_node *a = n->args; a; a = a->next, i++) {
		char l = i < len ? letters[i] : '.';
		if (d_bad(a))
			n->type = c->t.err;
		if (l == '.' || d_bad(a) || fits(a, l)) {
			if ((l == 's' || l == 'S') && points_to_void(a->type))
				a->type = d_type_ptr(c, c->t.char_);
			continue;
		}
		d_error_hint(c, d_arg_at(n, a), "D_PROTO_ARG", d_meant_arg(c, a, l == 's' || l == 'S'), "%s( ) argument #%zu is "
			"incompatible with prototype:\n\tprototype: %s\n\t argument: %s",
			f->name, i + 1, proto_type(c, f, i, l), d_type_str(c, a->type));
		n->type = c->t.err;
	}
}

static void unknown_function(struct d_compiler *c, struct d_node *n)
{
	for (struct d_node *a = n->args; a; a = a->next)
		d_check_expr(c, a);
	if (d_var_find(c, D_GLOBAL, n->str))
		d_error(c, n->at, "D_FUNC_IDKIND", "variable '%s' may not be referenced as a function", n->str);
	else
		d_error_hint(c, n->at, "D_FUNC_UNDEF", d_near_func(c, n->str), "undefined function name: %s", n->str);
}

/* What a clause asks of memory at once must be there. */
static void check_size(struct d_compiler *c, const struct d_node *n, const struct d_node *size)
{
	if (size->is_const && (uint64_t)size->val > c->opts.scratchsize)
		d_error(c, n->at, "D_ALLOCA_SIZE", "alloca(%llu) size larger than scratchsize %u",
			(unsigned long long)size->val, c->opts.scratchsize);
}

const char *d_strtok_var(struct d_compiler *c)
{
	static const char name[] = "strtok( )"; /* no script can have it */
	return d_intern(c, name, sizeof(name) - 1);
}

static void check_subr(struct d_compiler *c, struct d_node *n, const struct d_func *f)
{
	if (d_bad(n) || f->kind != D_F_SUBR)
		return;
	if (f->what == IR_HELPER_alloca)
		check_size(c, n, n->args);
	else if (f->what == IR_HELPER_copyin)
		check_size(c, n, n->args->next);
	else if (f->what == IR_HELPER_bcopy)
		d_check_alloca_arg(c, n, n->args->next, 2);
	else if (f->what == IR_HELPER_copyinto)
		d_check_alloca_arg(c, n, n->args->next->next, 3);
	else if (f->what == IR_HELPER_strtok && !d_var_find(c, D_SELF, d_strtok_var(c)))
		d_var_new(c, D_SELF, d_strtok_var(c), D_VAR_SCALAR, c->t.string, n->at);
}

void d_check_call(struct d_compiler *c, struct d_node *n)
{
	const struct d_func *f = d_func_find(c, n->str);
	n->type = c->t.err;
	n->func = f;
	if (!f) {
		unknown_function(c, n);
		return;
	}
	if (f->kind == D_F_UNSUP) {
		d_error(c, n->at, "D_FUNC_UNDEF", "%s( ) cannot be used: %s", f->name, f->why);
		return;
	}
	if (f->kind == D_F_AGG) { /* who uses it reports it */
		n->type = c->t.agg;
		n->is_act = true;
		d_check_args(c, n, f, f->args);
		return;
	}
	if (f->kind == D_F_ACTION) {
		d_check_action(c, n);
		return;
	}
	n->type = result_type(c, f->result);
	d_check_args(c, n, f, f->args);
	d_check_order(c, n, f);
	check_subr(c, n, f);
}

/* ---- actions ---- */

static void check_frames(struct d_compiler *c, struct d_node *n)
{
	const char *const tags[] = { n->func->what == D_A_STACK ? "D_STACK_SIZE" : "D_USTACK_FRAMES", "D_USTACK_STRSIZE" };
	uint32_t i = 0;
	for (struct d_node *a = n->args; a; a = a->next, i++) {
		if (!d_bad(a) && d_is_string(a->type)) {
			d_error(c, a->at, "D_PROTO_ARG", "%s( ) argument #%u is incompatible with prototype:\n\tprototype: uint32_t\n"
				"\t argument: %s", n->str, i + 1, d_type_str(c, a->type));
			continue;
		}
		bool ok = a->is_const && d_is_int(a->type) && (i ? a->val >= 0 : a->val > 0);
		if (!d_bad(a) && !ok)
			d_error(c, a->at, tags[i], "%s( ) argument #%u must be a %spositive integer constant",
				n->str, i + 1,
				i ? "" : "non-zero ");
		else if (!d_bad(a) && a->val > (i ? IR_STRSIZE_MAX : IR_FRAMES_MAX))
			d_error(c, a->at, tags[i], "%s( ) argument #%u can be at most %u", n->str, i + 1,
				i ? IR_STRSIZE_MAX : IR_FRAMES_MAX);
	}
}

static void check_trace(struct d_compiler *c, struct d_node *n)
{
	struct d_node *a = n->args;
	struct d_type *t = d_resolve(a->type);
	if (t->kind == D_T_VOID)
		d_error(c, a->at, "D_TRACE_VOID", "trace( ) may not be applied to a void expression");
	else if (d_is_dynamic(a))
		d_error_hint(c, a->at, "D_TRACE_DYN", d_meant_arg(c, a, false), "trace( ) may not be applied to a dynamic expression");
	else if (t->kind == D_T_FUNC || t->is_incomplete)
		d_error(c, a->at, "D_PROTO_ARG", "trace( ) argument #1 is incompatible with "
			"prototype:\n\tprototype: scalar or string\n"
			"\t argument: %s", d_type_str(c, a->type));
}

static void check_tracemem(struct d_compiler *c, struct d_node *n)
{
	struct d_node *a = n->args, *size = a->next;
	if (!d_bad(a) && !d_is_int(a->type) && !d_is_ptr(a->type))
		d_error(c, a->at, "D_TRACEMEM_ADDR", "tracemem( ) argument #1 is incompatible with "
			"prototype:\n\tprototype: pointer or "
			"integer\n\t argument: %s", d_type_str(c, a->type));
	if (!d_bad(size) && (!size->is_const || !d_is_int(size->type) || size->val <= 0))
		d_error(c, size->at, "D_TRACEMEM_SIZE", "tracemem( ) argument #2 must be a non-zero positive "
			"integral constant "
			"expression");
	else if (!d_bad(size) && size->val > (int64_t)(IR_REC_MAX / 2))
		d_error(c, size->at, "D_TRACEMEM_SIZE", "tracemem( ) argument #2 can be at most %u", IR_REC_MAX / 2);
}

/* printf(), system(), freopen(): a constant format and its values. */
static void check_printf(struct d_compiler *c, struct d_node *n)
{
	struct d_node *f = n->args;
	bool any = n->func->what != D_A_PRINTF; /* the prototypes of the others leave it open */
	if (f->kind != N_STR) {
		if (!d_bad(f))
			d_error_hint(c, d_arg_at(n, f), any || d_is_strlike(f->type) ? "D_PRINTF_ARG_FMT" : "D_PROTO_ARG",
				d_meant_arg(c, f, true), "%s( ) argument #1 is incompatible with prototype:\n\tprototype: %s\n\t argument: %s", n->str,
				any || d_is_strlike(f->type) ? "string constant" : "string", d_type_str(c, f->type));
		return;
	}
	if (n->func->what == D_A_FREOPEN && !strcmp(f->str, "."))
		d_error(c, d_arg_at(n, f), "D_FREOPEN_INVALID", "freopen( ) argument #1 cannot be \".\"");
	d_check_format(c, n, f->str, f, f->next, false);
}

static bool agg_arg(struct d_compiler *c, const struct d_node *n, const struct d_node *a, const char *argtag,
		    const char *badtag, uint32_t i)
{
	if (d_bad(a))
		return false;
	if (a->kind != N_AGG || (a->args && a->agg)) {
		d_error(c, d_arg_at(n, a), argtag, "%s( ) argument #%u is incompatible with prototype:\n\tprototype: "
			"aggregation\n\t argument: %s",
			n->str, i, a->kind == N_AGG ? "one element of it" : d_type_str(c, a->type));
		return false;
	}
	if (!a->agg || !a->agg->fn) {
		d_error(c, d_arg_at(n, a), badtag, "undefined aggregation: @%s", a->str);
		return false;
	}
	return true;
}

static const char *plural(uint32_t n) { return n == 1 ? "" : "s"; }

/* Aggregations of one printa() have the same keys. */
static bool same_keys(struct d_compiler *c, const struct d_node *at, const struct d_agg *a, const struct d_agg *b)
{
	if (a->key_cnt != b->key_cnt) {
		d_error(c, at->at, "D_PRINTA_AGGKEY", "printa( ): @%s and @%s do not have matching key signatures: @%s "
			"has %u key%s, @%s has %u key%s", a->name, b->name, a->name, a->key_cnt, plural(a->key_cnt), b->name,
			b->key_cnt, plural(b->key_cnt));
		return false;
	}
	for (uint32_t i = 0; i < a->key_cnt; i++) {
		struct d_type *x = a->keys[i].type, *y = b->keys[i].type;
		if (d_key_fits(x, y))
			continue;
		d_error(c, at->at, "D_PRINTA_AGGPROTO", "printa( ): @%s[ ] key #%u is incompatible with @%s:\n%9s key #%u: "
			"%s\n%9s key #%u: %s", b->name, i + 1, a->name, a->name, i + 1, d_type_str(c, x), b->name, i + 1,
			d_type_str(c, y));
		return false;
	}
	return true;
}

static void check_printa(struct d_compiler *c, struct d_node *n)
{
	struct d_node *f = n->args->kind == N_STR ? n->args : NULL, *a = f ? f->next : n->args, *first = a;
	uint32_t i = f ? 2 : 1;
	if (!a) {
		d_error(c, n->at, "D_PRINTA_PROTO", "printa( ) prototype mismatch: 1 args passed, 2 expected");
		return;
	}
	for (; a; a = a->next, i++) {
		if (!agg_arg(c, n, a, "D_PRINTA_AGGARG", "D_PRINTA_AGGBAD", i))
			return;
		if (!same_keys(c, a, first->agg, a->agg))
			return;
	}
	if (f)
		d_check_format(c, n, f->str, f, first, true);
}

static void check_agg_action(struct d_compiler *c, struct d_node *n)
{
	enum d_action what = (enum d_action)n->func->what;
	const char *arg = "D_NORMALIZE_AGGARG", *bad = "D_NORMALIZE_AGGBAD";
	struct d_node *val = n->args->next;
	if (what == D_A_CLEAR) {
		arg = "D_CLEAR_AGGARG";
		bad = "D_CLEAR_AGGBAD";
	} else if (what == D_A_TRUNC) {
		arg = "D_TRUNC_AGGARG";
		bad = "D_TRUNC_AGGBAD";
	}
	if (agg_arg(c, n, n->args, arg, bad, 1) && val && !d_bad(val) && !d_is_int(val->type))
		d_error(c, d_arg_at(n, val), "D_PROTO_ARG", "%s( ) argument #2 is incompatible with prototype:\n\tprototype: "
			"%s\n\t argument: %s", n->str, what == D_A_NORMALIZE ? "uint64_t" : "int64_t", d_type_str(c, val->type));
}

static void check_setopt(struct d_compiler *c, struct d_node *n)
{
	for (struct d_node *a = n->args; a; a = a->next)
		if (!d_bad(a) && a->kind != N_STR && !d_is_string(a->type))
			d_error(c, a->at, "D_PROTO_ARG", "setopt( ) takes strings, not %s", d_type_str(c, a->type));
}

void d_check_action(struct d_compiler *c, struct d_node *n)
{
	const struct d_func *f = d_func_find(c, n->str);
	const char *letters = f->args;
	n->func = f;
	n->type = result_type(c, f->result);
	n->is_act = n->type->kind == D_T_VOID;
	char any[8];
	if (strchr(letters, '@')) { /* what is no aggregation has a tag of its own */
		for (size_t i = 0; i <= strlen(letters); i++)
			any[i] = letters[i] == '@' ? 'a' : letters[i];
		letters = any;
	}
	d_check_args(c, n, f, letters);
	d_check_order(c, n, f);
	if (d_bad(n))
		return;
	switch ((enum d_action)f->what) {
	case D_A_TRACE: check_trace(c, n); break;
	case D_A_TRACEMEM: check_tracemem(c, n); break;
	case D_A_PRINTF: case D_A_SYSTEM: case D_A_FREOPEN: check_printf(c, n); break;
	case D_A_PRINTA: check_printa(c, n); break;
	case D_A_USTACK: case D_A_STACK: check_frames(c, n); break;
	case D_A_CLEAR: case D_A_TRUNC: case D_A_NORMALIZE: case D_A_DENORMALIZE: check_agg_action(c, n); break;
	case D_A_SETOPT: check_setopt(c, n); break;
	case D_A_PRINT: d_check_print(c, n); break;
	default: break;
	}
}

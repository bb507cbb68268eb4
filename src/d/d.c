/* SPDX-License-Identifier: MIT */
/* The passes, in order. */
#include "d/check_int.h"
#include "d/layout_int.h"
#include "d/parse_int.h"

#include <errno.h>
#include <stdlib.h>

#define STRSIZE 256
#define SCRATCHSIZE 4096

struct d_compiler *d_create(const struct d_opts *opts)
{
	struct d_compiler *c = calloc(1, sizeof(*c));
	if (c)
		c->opts = *opts;
	return c;
}

/* Back to what d_create() made, but for options that pragmas have set. */
static void reset(struct d_compiler *c)
{
	struct d_opts opts = c->opts;
	d_program_deinit(&c->prog);
	ir_builder_destroy(c->builder);
	d_arena_free(c);
	*c = (struct d_compiler){ .opts = opts };
	c->var_tail = &c->var_list;
	c->agg_tail = &c->agg_list;
	c->top_tail = &c->tops;
}

void d_destroy(struct d_compiler *c)
{
	if (!c)
		return;
	reset(c);
	free(c);
}

void d_program_deinit(struct d_program *p)
{
	if (!p)
		return;
	ir_image_deinit(&p->image);
	plan_deinit(&p->plan);
	*p = (struct d_program){ 0 };
}

static void add_sources(struct d_compiler *c, const struct d_source *srcs, uint32_t cnt)
{
	const struct d_source *std = d_std_source(srcs, cnt); /* behind the caller's, whose numbers stay */
	c->src_cnt = cnt + (std != NULL);
	c->srcs = d_alloc(c, c->src_cnt * sizeof(*c->srcs));
	for (uint32_t i = 0; i < c->src_cnt; i++) {
		const struct d_source *src = i < cnt ? &srcs[i] : std;
		struct d_src *s = &c->srcs[i];
		s->src = src;
		s->len = strlen(src->text);
		s->text = d_strndup(c, src->text, s->len);
		s->name = src->name ? d_strndup(c, src->name, strlen(src->name)) : NULL;
		while (src->macro_args && src->macro_args[s->arg_cnt])
			s->arg_cnt++;
	}
}

static void check_strsize(struct d_compiler *c)
{
	if (!c->opts.strsize)
		c->opts.strsize = STRSIZE;
	if (c->opts.strsize > IR_STRSIZE_MAX)
		d_error(c, (struct d_place){ 0 }, "D_PRAGMA_OPTSET", "option strsize can be at most %u",
			IR_STRSIZE_MAX);
}

/* A library's clauses are of no program. */
static void check_tops(struct d_compiler *c)
{
	for (struct d_node **at = &c->tops, *n; (n = *at) && c->err_cnt < D_DIAG_MAX;) {
		d_check_top(c, n);
		if (n->kind == N_CLAUSE && c->srcs[n->at.src].src->kind == D_SRC_LIBRARY) {
			*at = n->next;
			c->clause_cnt--;
		} else {
			at = &n->next;
		}
	}
}

static struct d_place end_of_program(const struct d_compiler *c)
{
	uint32_t src = c->src_cnt ? c->src_cnt - 1 : 0;
	while (src && c->srcs[src].src->kind == D_SRC_LIBRARY)
		src--;
	return (struct d_place){ .src = src, .line = c->src_cnt ? c->srcs[src].end_line : 0 };
}

static void compile(struct d_compiler *c, const struct d_source *srcs, uint32_t cnt)
{
	add_sources(c, srcs, cnt);
	d_types_init(c);
	d_syms_init(c);
	d_net_types_init(c);
	d_funcs_init(c);
	if (!c->opts.strsize)
		c->opts.strsize = STRSIZE;
	c->t.string->size = wire_str_bytes(c->opts.strsize);
	if (!c->opts.scratchsize)
		c->opts.scratchsize = SCRATCHSIZE;
	if (c->src_cnt > cnt)
		d_parse_source(c, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		if (srcs[i].kind == D_SRC_LIBRARY)
			d_parse_source(c, i);
	for (uint32_t i = 0; i < cnt; i++)
		if (srcs[i].kind != D_SRC_LIBRARY)
			d_parse_source(c, i);
	if (!c->err_cnt)
		d_macros_done(c);
	check_strsize(c);
	if (c->err_cnt || c->opts.parse_only)
		return;
	check_tops(c);
	c->region = NULL;
	if (!c->err_cnt)
		d_check_stability(c);
	c->checked = true;
	if (!c->clause_cnt && !c->err_cnt && !c->opts.empty_ok)
		d_error(c, end_of_program(c), "D_EMPTY", "empty D program translation unit");
	if (c->clause_cnt > IR_PROGS_MAX)
		d_error(c, (struct d_place){ 0 }, "D_LIMIT", "more than %u clauses", IR_PROGS_MAX);
	if (c->err_cnt)
		return;
	d_layout_sizes(c);
	d_count_self(c);
	d_layout_vars(c);
	d_layout_aggs(c);
	if (!c->err_cnt)
		d_lower_program(c);
}

int d_compile(struct d_compiler *c, const struct d_source *srcs, uint32_t src_cnt, struct d_program *ret)
{
	reset(c);
	if (setjmp(c->oom)) {
		d_program_deinit(&c->prog);
		ir_builder_destroy(c->builder);
		c->builder = NULL;
		return -ENOMEM;
	}
	compile(c, srcs, src_cnt);
	for (uint32_t i = 0; i < c->src_cnt; i++)
		c->srcs[i].src = NULL; /* the caller's */
	if (c->err_cnt) {
		d_program_deinit(&c->prog);
		return -EINVAL;
	}
	if (!c->opts.parse_only)
		*ret = c->prog;
	c->prog = (struct d_program){ 0 };
	return 0;
}

/* Making names of types takes memory. */
static int dump(struct d_compiler *c, FILE *f, bool types)
{
	if (setjmp(c->oom))
		return -ENOMEM;
	d_dump_tops(c, f, types);
	return ferror(f) ? -EIO : 0;
}

int d_dump_ast(struct d_compiler *c, FILE *f)
{
	return dump(c, f, false);
}

int d_dump_types(struct d_compiler *c, FILE *f)
{
	return dump(c, f, c->checked);
}

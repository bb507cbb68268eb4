/* SPDX-License-Identifier: MIT */
/* -d: what the compiler made, stage by stage. */
#include "cli/cli_int.h"

#include "jit/jit.h"
#include "rt/rt.h"
#include "wire/layout.h"

#include <errno.h>
#include <stdlib.h>

/* Nothing runs at these addresses; they only have to be as far apart as real ones are. */
#define SHOW_SHM 0x100000000ULL
#define SHOW_AGENT 0x200000000ULL
#define SHOW_CODE 0x200010000ULL

static int show_env(const struct ir_image *image, struct wire_shm *geometry, struct jit_env *env, struct err *reterr)
{
	struct wire_layout_in in = { .thread_cnt = 1, .site_cap = 1, .dyn_bytes = 1 << 20, .unw_bytes = 1 << 20,
				     .ring_bytes = 1 << 20, .agg_bytes = 1 << 20, .ctx_bytes = sizeof(struct rt_ctx) };
	ir_image_layout(image, &in);
	*env = (struct jit_env){ .geometry = geometry, .aggs = image->aggs, .shm_addr = SHOW_SHM, .proc_idx = 1 };
	for (uint32_t i = 0; i < IR_HELPER_CNT; i++)
		env->helper_addr[i] = SHOW_AGENT + 16 * i;
	uint64_t *fns[] = { &env->fn_thread_find, &env->fn_enter, &env->fn_leave, &env->fn_rec_open, &env->fn_rec_commit,
			    &env->fn_fault, &env->fn_agg, &env->fn_agg_plain, &env->fn_env, &env->fn_site_args,
			    &env->fn_child, &env->fn_agg_key, &env->fn_rec_put, &env->fn_rec_publish, &env->fn_vfork_id_at,
			    &env->fn_agg_ustack };
	for (uint32_t i = 0; i < ARRAY_CNT(fns); i++)
		*fns[i] = SHOW_AGENT + 16 * (IR_HELPER_CNT + i);
	return wire_layout(geometry, &in, reterr);
}

static int dump_jit(struct cli *cli)
{
	struct wire_shm geometry;
	struct jit_env env;
	struct err e = { .msg = "out of memory" };
	int rc = show_env(&cli->prog.image, &geometry, &env, &e);
	for (uint32_t i = 0; rc >= 0 && i < cli->prog.image.prog_cnt; i++) {
		const struct ir_prog *prog = &cli->prog.image.progs[i];
		fprintf(cli->out, "clause %u, at an entry:\n", i);
		rc = jit_print_progs(cli->out, &env, WIRE_SITE_ENTRY, &prog, 1, SHOW_CODE, &e);
	}
	if (rc >= 0)
		return CLI_OK;
	cli_error("-d jit: %s", e.msg);
	return CLI_ERROR;
}

/* -S: each clause's instructions, and its variables in a table that ends with an empty line. */
static void dump_clauses(struct cli *cli)
{
	const struct ir_image *image = &cli->prog.image;
	for (uint32_t i = 0; i < image->prog_cnt; i++) {
		const struct plan_clause *cl = &cli->prog.plan.clauses[i];
		fprintf(cli->out, "\nDisassembly of clause ");
		for (uint32_t d = 0; d < cl->desc_cnt; d++)
			fprintf(cli->out, "%s%s:%s:%s:%s", d ? "," : "", cl->descs[d].prov, cl->descs[d].mod, cl->descs[d].func,
				cl->descs[d].name);
		fprintf(cli->out, ":\n");
		ir_prog_print(cli->out, &image->progs[i]);
		d_dump_vars(cli->d, cli->out, i, image->progs[i].insn_cnt);
		fprintf(cli->out, "\n");
	}
}

int cli_dump(struct cli *cli)
{
	unsigned d = cli->args.dumps;
	if (d & DUMP_AST)
		d_dump_ast(cli->d, cli->out);
	if (d & DUMP_TYPES)
		d_dump_types(cli->d, cli->out);
	if (d & DUMP_CLAUSES)
		dump_clauses(cli);
	if (d & DUMP_IR)
		ir_image_print(cli->out, &cli->prog.image);
	return d & DUMP_JIT ? dump_jit(cli) : CLI_OK;
}

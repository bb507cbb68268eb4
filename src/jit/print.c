/* SPDX-License-Identifier: MIT */
#include "jit/x86_64/gen_int.h"

#include "isa/isa.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_COL 2 /* of 16 hexadecimal digits and what follows */

/* One line: address, instruction.  Its length; never 0. */
static size_t print_insn(FILE *f, const uint8_t *code, size_t bytes, uint64_t addr, const char *comment)
{
	struct isa_insn in;
	char text[160];
	if (isa_decode(code, bytes, addr, &in) < 0 || isa_format(code, bytes, addr, text, sizeof(text)) < 0) {
		fprintf(f, "%*s%" PRIx64 "  .byte 0x%02x\n", TEXT_COL, "", addr, code[0]);
		return 1;
	}
	fprintf(f, "%*s%" PRIx64 "  %s%s%s\n", TEXT_COL, "", addr, text, comment ? "  # " : "", comment ? comment : "");
	return in.len;
}

void jit_print(FILE *f, const uint8_t *code, size_t bytes, uint64_t addr)
{
	for (size_t at = 0; at < bytes;)
		at += print_insn(f, code + at, bytes - at, addr + at, NULL);
}

/* ---- with the IR ---- */

static const char *fn_name(const struct jit_env *env, uint64_t addr)
{
	const struct {
		uint64_t addr;
		const char *name;
	} fns[] = {
		{ env->fn_thread_find, "thread_find" }, { env->fn_enter, "enter" }, { env->fn_leave, "leave" },
		{ env->fn_rec_open, "rec_open" }, { env->fn_rec_commit, "rec_commit" }, { env->fn_fault, "fault" },
		{ env->fn_agg, "agg" }, { env->fn_agg_plain, "agg_plain" },
		{ env->fn_agg_key, "agg_key" }, { env->fn_rec_put, "rec_put" }, { env->fn_rec_publish, "rec_publish" },
		{ env->fn_vfork_id_at, "vfork_id_at" }, { env->fn_agg_ustack, "agg_ustack" },
	 { env->fn_env, "env" }, { env->fn_site_args, "site_args" }, { env->fn_child, "child_enter" },
	};
	for (size_t i = 0; i < ARRAY_CNT(fns); i++)
		if (fns[i].addr == addr)
			return fns[i].name;
	for (uint32_t h = 0; h < IR_HELPER_CNT; h++)
		if (env->helper_addr[h] == addr)
			return ir_helper((enum ir_helper)h)->name;
	return NULL;
}

/* Far calls go through rax, loaded just before. */
static const char *comment(const struct jit_env *env, const uint8_t *code, size_t bytes, uint64_t addr)
{
	struct isa_insn in;
	uint64_t imm;
	if (isa_decode(code, bytes, addr, &in) < 0)
		return NULL;
	if (in.flow == ISA_CALL && in.target)
		return fn_name(env, in.target);
	if (in.len != 10 || code[0] != 0x48 || code[1] != 0xb8)
		return NULL;
	memcpy(&imm, code + 2, sizeof(imm));
	return fn_name(env, imm);
}

/* Line @n of @text. */
static void print_line(FILE *f, const char *text, uint32_t n)
{
	for (; n && text; n--) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	if (text)
		fprintf(f, "%.*s\n", (int)strcspn(text, "\n"), text);
}

static char *ir_text(const struct ir_prog *p)
{
	char *text = NULL;
	size_t cnt;
	FILE *f = open_memstream(&text, &cnt);
	if (!f)
		return NULL;
	ir_prog_print(f, p);
	fclose(f);
	return text;
}

static void print_notes(FILE *f, const struct jit_gen *g)
{
	char *text = NULL;
	uint32_t n = 0, prog = WIRE_NONE;
	for (size_t at = 0; at < g->a.len;) {
		for (; n < g->note_cnt && g->notes[n].at <= at; n++) {
			if (g->notes[n].prog != prog) {
				prog = g->notes[n].prog;
				free(text);
				text = ir_text(g->progs[prog]);
				print_line(f, text, 0);
			}
			print_line(f, text, 1 + g->notes[n].insn);
		}
		const uint8_t *code = g->a.buf + at;
		at += print_insn(f, code, g->a.len - at, g->a.addr + at, comment(g->env, code, g->a.len - at, g->a.addr + at));
	}
	free(text);
}

static int want_notes(struct jit_gen *g)
{
	uint64_t cnt = 1;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		cnt += g->progs[i]->insn_cnt;
	g->notes = calloc(cnt, sizeof(*g->notes));
	g->note_cap = (uint32_t)cnt;
	return g->notes ? 0 : -ENOMEM;
}

int jit_print_progs(FILE *f, const struct jit_env *env, enum wire_site_kind kind, const struct ir_prog *const *progs,
		    uint32_t prog_cnt, uint64_t addr, struct err *reterr)
{
	/* The first time only counts. */
	uint8_t *buf = NULL;
	size_t cap = 0;
	int64_t n = -ENOSPC;
	for (int pass = 0; pass < 2 && n == -ENOSPC; pass++) {
		struct jit_gen g;
		jit_gen_init(&g, env, kind, progs, prog_cnt, addr, buf, cap);
		n = want_notes(&g) < 0 ? err_setf(reterr, -ENOMEM, "no memory to print code") : jit_gen_finish(&g, reterr);
		if (n >= 0)
			print_notes(f, &g);
		cap = g.a.len;
		jit_gen_deinit(&g);
		if (n == -ENOSPC && !(buf = malloc(cap)))
			n = err_setf(reterr, -ENOMEM, "no memory to print code");
	}
	free(buf);
	return n < 0 ? (int)n : 0;
}

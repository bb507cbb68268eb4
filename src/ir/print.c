/* SPDX-License-Identifier: MIT */
/*
 * Programs as text, one instruction a line:
 *
 *      3  add     v2, v0, v1
 *      4  brz     v2, 9
 *      5  call    v3, strlen(v1)
 *      6  sts.4   [16], v3
 *      7  agg     @0[slot 24], v3, v4
 */
#include "ir/ir_int.h"

#include <inttypes.h>
#include <string.h>

static const char *const env_names[WIRE_ENV_CNT] = {
	"timestamp", "walltimestamp", "pid", "tid", "ppid", "uid", "gid", "cpu", "execname",
	"probeprov", "probemod", "probefunc", "probename", "probeid", "clause", "ret_offset", "psargs", "in_kernel", "at_jump",
	"weight",
};
static const char *const reg_names[WIRE_REG_CNT] = {
	"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
	"orig_rax", "rip", "cs", "eflags", "rsp", "ss",
};
static const char *const fault_names[WIRE_FAULT_CNT] = {
	"none", "badaddr", "badalign", "illop", "divzero", "noscratch", "kpriv", "upriv", "tupoflow", "badstack",
	"badsize", "badindex", "library", "noretval",
};

static void print_name(FILE *f, const char *const *names, uint64_t cnt, int64_t i)
{
	if (i >= 0 && (uint64_t)i < cnt)
		fputs(names[i], f);
	else
		fprintf(f, "?%" PRId64, i);
}

static void print_vreg(FILE *f, uint32_t v)
{
	if (v == WIRE_NONE)
		fputs("-", f);
	else
		fprintf(f, "v%" PRIu32, v);
}

static void print_imm(FILE *f, const struct ir_insn *in)
{
	switch (in->op) {
	case IR_OP_ENV:
		print_name(f, env_names, WIRE_ENV_CNT, in->imm);
		return;
	case IR_OP_UREG:
		print_name(f, reg_names, WIRE_REG_CNT, in->imm);
		return;
	case IR_OP_FAULT:
		print_name(f, fault_names, WIRE_FAULT_CNT, in->imm);
		return;
	default:
		fprintf(f, "%" PRId64, in->imm);
	}
}

static void print_arg(FILE *f, char letter, uint64_t v)
{
	if (ir_arg_is_vreg(letter))
		print_vreg(f, (uint32_t)v);
	else if (letter == 'D')
		fprintf(f, "[%" PRIu64 "]", v);
	else
		fprintf(f, "%" PRId64, (int64_t)v);
}

static void print_call(FILE *f, const struct ir_prog *p, const struct ir_insn *in)
{
	const struct ir_helper_desc *h = in->imm >= 0 && in->imm < IR_HELPER_CNT ? ir_helper((enum ir_helper)in->imm) : NULL;
	if (in->dst != WIRE_NONE) {
		print_vreg(f, in->dst);
		fputs(", ", f);
	}
	if (!h) {
		fprintf(f, "?%" PRId64, in->imm);
		return;
	}
	fprintf(f, "%s(", h->name);
	for (uint32_t i = 0; i < in->b; i++) {
		if (i >= strlen(h->args) || (uint64_t)in->a + i >= p->arg_cnt) {
			fputs(i ? ", ?" : "?", f);
			break;
		}
		fputs(i ? ", " : "", f);
		print_arg(f, h->args[i], p->args[in->a + i]);
	}
	fputc(')', f);
}

static void print_agg(FILE *f, const struct ir_insn *in)
{
	fprintf(f, "@%" PRId64, in->imm);
	if (in->aux != IR_NO_TUPLE)
		fprintf(f, "[slot %u]", in->aux);
	fputs(", ", f);
	print_vreg(f, in->a);
	if (in->b != WIRE_NONE) {
		fputs(", ", f);
		print_vreg(f, in->b);
	}
}

static void print_operands(FILE *f, const struct ir_prog *p, const struct ir_insn *in)
{
	switch (ir_op_form((enum ir_op)in->op)) {
	case IR_FORM_C:
		print_call(f, p, in);
		return;
	case IR_FORM_G:
		print_agg(f, in);
		return;
	case IR_FORM_DIX:
		print_vreg(f, in->dst);
		fprintf(f, ", [%" PRId64 "]", in->imm);
		return;
	case IR_FORM_AIX:
		fprintf(f, "[%" PRId64 "], ", in->imm);
		print_vreg(f, in->a);
		return;
	default:
		break;
	}
	const char *sep = "";
	unsigned uses = ir_form_uses(ir_op_form((enum ir_op)in->op));
	if (uses & IR_USE_DST) {
		print_vreg(f, in->dst);
		sep = ", ";
	}
	if (uses & IR_USE_A) {
		fputs(sep, f);
		print_vreg(f, in->a);
		sep = ", ";
	}
	if (uses & IR_USE_B) {
		fputs(sep, f);
		print_vreg(f, in->b);
		sep = ", ";
	}
	if (uses & IR_USE_IMM) {
		fputs(sep, f);
		print_imm(f, in);
	}
	if (in->op == IR_OP_REC)
		fprintf(f, ", fixed %u", in->aux);
}

static void print_insn(FILE *f, const struct ir_prog *p, uint32_t i)
{
	const struct ir_insn *in = &p->insns[i];
	if (in->op >= IR_OP_CNT) {
		fprintf(f, "%5" PRIu32 "  ?%u\n", i, in->op);
		return;
	}
	char name[24];
	unsigned width = in->aux & ~IR_SIGNED;
	if (ir_form_uses(ir_op_form((enum ir_op)in->op)) & IR_USE_AUX && in->op != IR_OP_AGG)
		snprintf(name, sizeof(name), "%s.%s%u", ir_op_name((enum ir_op)in->op), in->aux & IR_SIGNED ? "s" : "", width);
	else
		snprintf(name, sizeof(name), "%s", ir_op_name((enum ir_op)in->op));
	enum ir_form form = ir_op_form((enum ir_op)in->op);
	if (form == IR_FORM_N) {
		fprintf(f, "%5" PRIu32 "  %s\n", i, name);
		return;
	}
	fprintf(f, "%5" PRIu32 "  %-7s ", i, name);
	print_operands(f, p, in);
	fputc('\n', f);
}

void ir_prog_print(FILE *f, const struct ir_prog *p)
{
	fprintf(f, "clause %" PRIu32 ": vregs %" PRIu32 ", scratch %" PRIu32 ", record %" PRIu32 "\n", p->clause, p->vreg_cnt,
		p->scratch_bytes, p->rec_bytes);
	for (uint32_t i = 0; i < p->insn_cnt; i++)
		print_insn(f, p, i);
}

static void print_strs(FILE *f, const struct ir_image *img)
{
	for (uint32_t off = 0; off + sizeof(struct wire_str) <= img->str_bytes;) {
		const struct wire_str *w = (const struct wire_str *)(img->strs + off);
		if (w->len > img->str_bytes - off - sizeof(*w))
			return;
		fprintf(f, "string %" PRIu32 ": \"", off);
		for (uint32_t i = 0; i < w->len; i++) {
			unsigned char c = (unsigned char)w->s[i];
			if (c == '"' || c == '\\')
				fprintf(f, "\\%c", c);
			else if (c < ' ' || c >= 127)
				fprintf(f, "\\x%02x", c);
			else
				fputc(c, f);
		}
		fputs("\"\n", f);
		off += (uint32_t)align_up(sizeof(*w) + (uint64_t)w->len + 1, 8);
	}
}

static void print_agg_desc(FILE *f, uint32_t i, const struct wire_agg *a)
{
	static const char *const names[] = { "count", "sum", "min", "max", "avg", "stddev", "quantize", "lquantize",
		"llquantize" };
	fprintf(f, "agg @%" PRIu32 ": %s, words %" PRIu32, i, a->fn < ARRAY_CNT(names) ? names[a->fn] : "?", a->val_cnt);
	if (a->fn == WIRE_AGG_LQUANTIZE)
		fprintf(f, ", base %" PRId64 ", limit %" PRId64 ", step %" PRId64, a->base, a->limit, a->step);
	if (a->fn == WIRE_AGG_LLQUANTIZE)
		fprintf(f, ", factor %" PRIu32 ", low %" PRIu32 ", high %" PRIu32 ", steps %" PRIu32, a->ll_factor, a->ll_low,
			a->ll_high, a->ll_steps);
	fputc('\n', f);
}

void ir_image_print(FILE *f, const struct ir_image *img)
{
	fprintf(f, "image: globals %" PRIu32 ", self %" PRIu32 ", this %" PRIu32 ", dynamic variables %" PRIu32
		", strsize %" PRIu32 "\n", img->global_bytes, img->self_bytes, img->this_bytes, img->dynvar_cnt, img->strsize);
	print_strs(f, img);
	for (uint32_t i = 0; i < img->agg_cnt; i++)
		print_agg_desc(f, i, &img->aggs[i]);
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		ir_prog_print(f, &img->progs[i]);
}

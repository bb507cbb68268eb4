/* SPDX-License-Identifier: MIT */
/* Addresses of traced processes as text. */
#include "consume/consume_int.h"

#include "kern/kern.h"

#include <stdlib.h>
#include <string.h>

static struct consume_sym find_kernel(struct consume *c, uint64_t addr)
{
	struct consume_sym s = { 0 };
	if (c->opts.symbolize) {
		if (!c->opts.symbolize(c->opts.arg, 0, addr, &s))
			s = (struct consume_sym){ 0 };
		return s;
	}
	s.name = kern_symbolize(addr, &s.start, &s.mod);
	if (s.name)
		s.mod_start = kern_module_start(s.mod);
	return s;
}

static struct consume_sym find(struct consume *c, uint32_t proc, uint64_t addr)
{
	struct consume_sym s = { 0 };
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	if (c->opts.symbolize) {
		if (!c->opts.symbolize(c->opts.arg, proc, addr, &s))
			s = (struct consume_sym){ 0 };
		return s;
	}
	struct obj_proc *p = c->opts.obj ? c->opts.obj(c->opts.arg, proc) : NULL;
	if (p && !obj_symbolize(p, addr, &sym, &mod)) {
		s.name = sym->name;
		s.start = sym->addr;
	}
	if (mod) {
		s.mod = mod->name;
		s.start = sym ? s.start : mod->bias;
		s.mod_start = mod->text_start;
	}
	return s;
}

static void sym_name(struct consume *c, const char *name, char *buf, size_t cap)
{
	char *plain = c->opts.demangle ? obj_demangle(name) : NULL;
	snprintf(buf, cap, "%s", plain ? plain : name);
	free(plain);
}

static void format_sym(struct consume *c, const struct consume_sym *s, uint64_t off, char *buf, size_t cap)
{
	char name[900];
	sym_name(c, s->name, name, sizeof(name));
	if (off)
		snprintf(buf, cap, "%s`%s+0x%llx", s->mod, name, (unsigned long long)off);
	else
		snprintf(buf, cap, "%s`%s", s->mod, name);
}

static void format_kernel(struct consume *c, enum plan_val_kind kind, uint64_t addr, char *buf, size_t cap)
{
	const struct consume_sym s = find_kernel(c, addr);
	if (!s.name)
		snprintf(buf, cap, "0x%llx", (unsigned long long)addr);
	else if (kind == PLAN_KMOD)
		snprintf(buf, cap, "%s", s.mod);
	else if (kind == PLAN_KSYM || addr == s.start)
		snprintf(buf, cap, "%s`%s", s.mod, s.name);
	else
		snprintf(buf, cap, "%s`%s+0x%llx", s.mod, s.name, (unsigned long long)(addr - s.start));
}

void consume_sym_format(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr, char *buf, size_t cap)
{
	if (kind >= PLAN_KSYM || addr >> 63) {
		format_kernel(c, kind, addr, buf, cap);
		return;
	}
	const struct consume_sym s = find(c, proc, addr);
	if (!s.mod)
		snprintf(buf, cap, "0x%llx", (unsigned long long)addr);
	else if (kind == PLAN_UMOD)
		snprintf(buf, cap, "%s", s.mod);
	else if (!s.name)
		snprintf(buf, cap, "%s`0x%llx", s.mod, (unsigned long long)(c->opts.as_mapped ? addr : addr - s.start));
	else
		format_sym(c, &s, kind == PLAN_UADDR ? addr - s.start : 0, buf, cap);
}

/* Names of modules and of functions at one place stand for all addresses in them. */
static uint64_t reduce_kernel(struct consume *c, enum plan_val_kind kind, uint64_t addr)
{
	const struct consume_sym s = find_kernel(c, addr);
	return !s.name || (kind != PLAN_KSYM && kind != PLAN_KMOD) ? addr : kind == PLAN_KMOD ? s.mod_start : s.start;
}

static uint64_t reduce_uncached(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr)
{
	const struct consume_sym s = find(c, proc, addr);
	if (kind == PLAN_UMOD)
		return s.mod ? s.mod_start : addr;
	return s.name ? s.start : addr;
}

/* Merging asks for the same few addresses again and again. */
uint64_t consume_sym_reduce(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr)
{
	if (kind >= PLAN_KSYM || addr >> 63)
		return reduce_kernel(c, kind, addr);
	if (kind == PLAN_UADDR)
		return addr;
	uint32_t tag = proc << 8 | (uint32_t)kind << 1 | 1;
	struct canon *e = &c->canon[(addr * WIRE_MULT ^ tag * 0x9e3779b9ull) >> 56 & (CANON_CNT - 1)];
	if (e->tag != tag || e->from != addr)
		*e = (struct canon){ addr, reduce_uncached(c, kind, proc, addr), tag };
	return e->to;
}

/* A name alone, as flame graphs have it; of the kernel's with their usual mark. */
bool consume_sym_folded(struct consume *c, uint32_t proc, bool is_kernel, uint64_t pc, char *buf, size_t cap)
{
	const struct consume_sym s = is_kernel ? find_kernel(c, pc) : find(c, proc, pc);
	if (s.name && is_kernel)
		snprintf(buf, cap, "%s_[k]", s.name);
	else if (s.name)
		sym_name(c, s.name, buf, cap);
	else if (s.mod && !is_kernel)
		snprintf(buf, cap, "[%s]", s.mod);
	else
		snprintf(buf, cap, "0x%llx", (unsigned long long)pc);
	for (char *q = strchr(buf, ';'); q; q = strchr(q, ';'))
		*q = '_';
	return s.name || (s.mod && !is_kernel);
}

/* From the outermost caller on, in one line, a semicolon before each: so a format can put stacks side by side. */
static void print_folded(struct consume *c, FILE *fp, const struct plan_val *v, const struct datum_src *src)
{
	uint32_t bytes, cnt = 0;
	const uint8_t *p = consume_val_bytes(c, v, src, &bytes);
	uint64_t pc;
	char buf[1024];
	for (; cnt < bytes / 8; cnt++) {
		memcpy(&pc, p + cnt * 8ul, 8);
		if (!pc)
			break;
	}
	for (uint32_t i = cnt; i > 0; i--) {
		memcpy(&pc, p + (i - 1) * 8ul, 8);
		const char *text = src->site ? NULL : consume_fold_text(c, pc);
		if (!text)
			consume_sym_folded(c, src->proc, v->is_kernel, pc, buf, sizeof(buf));
		fprintf(fp, ";%s", text ? text : buf);
	}
}

/* @line_fmt is one %s conversion, as printf("%-40k") makes it. */
void consume_sym_print_stack(struct consume *c, FILE *fp, const char *line_fmt, uint32_t indent, const struct plan_val *v,
		     const struct datum_src *src)
{
	uint32_t cnt;
	const uint8_t *p = consume_val_bytes(c, v, src, &cnt);
	if (c->opts.foldstacks) {
		print_folded(c, fp, v, src);
		return;
	}
	putc('\n', fp);
	for (uint32_t i = 0; i + 8 <= cnt; i += 8) {
		uint64_t pc;
		char buf[1024];
		memcpy(&pc, p + i, 8);
		if (!pc)
			break;
		const char *text = src->site ? NULL : consume_fold_text(c, pc);
		if (text) /* folded, before the option was taken back */
			snprintf(buf, sizeof(buf), "%s", text);
		else if (v->is_kernel)
			format_kernel(c, PLAN_UADDR, pc, buf, sizeof(buf));
		else
			consume_sym_format(c, PLAN_UADDR, src->proc, pc, buf, sizeof(buf));
		fprintf(fp, "%*s", (int)indent, "");
		fprintf(fp, line_fmt, buf);
		putc('\n', fp);
	}
}

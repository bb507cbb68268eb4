/* SPDX-License-Identifier: MIT */
/* Addresses of traced processes as text. */
#include "consume/consume_int.h"

#include "kern/kern.h"

#include <stdlib.h>
#include <string.h>

static struct obj_proc *sym_proc(struct consume *c, uint32_t proc)
{
	return c->opts.obj ? c->opts.obj(c->opts.arg, proc) : NULL;
}

static void sym_name(struct consume *c, const struct obj_sym *sym, char *buf, size_t cap)
{
	char *plain = c->opts.demangle ? obj_demangle(sym->name) : NULL;
	snprintf(buf, cap, "%s", plain ? plain : sym->name);
	free(plain);
}

static void format_sym(struct consume *c, const struct obj_module *mod, const struct obj_sym *sym, uint64_t off,
		       char *buf, size_t cap)
{
	char name[900];
	sym_name(c, sym, name, sizeof(name));
	if (off)
		snprintf(buf, cap, "%s`%s+0x%llx", mod->name, name, (unsigned long long)off);
	else
		snprintf(buf, cap, "%s`%s", mod->name, name);
}

static void format_kernel(enum plan_val_kind kind, uint64_t addr, char *buf, size_t cap)
{
	uint64_t start = 0;
	const char *mod = NULL, *name = kern_symbolize(addr, &start, &mod);
	if (!name)
		snprintf(buf, cap, "0x%llx", (unsigned long long)addr);
	else if (kind == PLAN_KMOD)
		snprintf(buf, cap, "%s", mod);
	else if (kind == PLAN_KSYM || addr == start)
		snprintf(buf, cap, "%s`%s", mod, name);
	else
		snprintf(buf, cap, "%s`%s+0x%llx", mod, name, (unsigned long long)(addr - start));
}

void consume_sym_format(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr, char *buf, size_t cap)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	if (kind >= PLAN_KSYM || addr >> 63) {
		format_kernel(kind, addr, buf, cap);
		return;
	}
	struct obj_proc *p = sym_proc(c, proc);
	if (p && obj_symbolize(p, addr, &sym, &mod) < 0)
		sym = NULL;
	if (!mod)
		snprintf(buf, cap, "0x%llx", (unsigned long long)addr);
	else if (kind == PLAN_UMOD)
		snprintf(buf, cap, "%s", mod->name);
	else if (!sym)
		snprintf(buf, cap, "%s`0x%llx", mod->name, (unsigned long long)addr);
	else
		format_sym(c, mod, sym, kind == PLAN_UADDR ? addr - sym->addr : 0, buf, cap);
}

/* Names of modules and of functions at one place stand for all addresses in them. */
static uint64_t reduce_kernel(enum plan_val_kind kind, uint64_t addr)
{
	uint64_t start;
	const char *mod, *name = kern_symbolize(addr, &start, &mod);
	return !name || (kind != PLAN_KSYM && kind != PLAN_KMOD) ? addr : kind == PLAN_KMOD ? kern_module_start(mod) : start;
}

static uint64_t reduce_uncached(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	struct obj_proc *p = sym_proc(c, proc);
	if (!p)
		return addr;
	int rc = obj_symbolize(p, addr, &sym, &mod);
	if (kind == PLAN_UMOD)
		return mod ? mod->text_start : addr;
	return rc < 0 ? addr : sym->addr;
}

/* Merging asks for the same few addresses again and again. */
uint64_t consume_sym_reduce(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr)
{
	if (kind >= PLAN_KSYM || addr >> 63)
		return reduce_kernel(kind, addr);
	if (kind == PLAN_UADDR)
		return addr;
	uint32_t tag = proc << 8 | (uint32_t)kind << 1 | 1;
	struct canon *e = &c->canon[(addr * WIRE_HASH_MULT ^ tag * 0x9e3779b9ull) >> 56 & (CANON_CNT - 1)];
	if (e->tag != tag || e->from != addr)
		*e = (struct canon){ addr, reduce_uncached(c, kind, proc, addr), tag };
	return e->to;
}

/* A name alone, as flame graphs have it; of the kernel's with their usual mark. */
static void format_folded(struct consume *c, uint32_t proc, bool is_kernel, uint64_t pc, char *buf, size_t cap)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	uint64_t start;
	const char *kmod, *name = is_kernel ? kern_symbolize(pc, &start, &kmod) : NULL;
	struct obj_proc *p = is_kernel ? NULL : sym_proc(c, proc);
	if (name)
		snprintf(buf, cap, "%s_[k]", name);
	else if (p && obj_symbolize(p, pc, &sym, &mod) >= 0 && sym)
		sym_name(c, sym, buf, cap);
	else if (mod)
		snprintf(buf, cap, "[%s]", mod->name);
	else
		snprintf(buf, cap, "0x%llx", (unsigned long long)pc);
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
		format_folded(c, src->proc, v->is_kernel, pc, buf, sizeof(buf));
		for (char *q = strchr(buf, ';'); q; q = strchr(q, ';'))
			*q = '_';
		fprintf(fp, ";%s", buf);
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
		if (v->is_kernel)
			format_kernel(PLAN_UADDR, pc, buf, sizeof(buf));
		else
			consume_sym_format(c, PLAN_UADDR, src->proc, pc, buf, sizeof(buf));
		fprintf(fp, "%*s", (int)indent, "");
		fprintf(fp, line_fmt, buf);
		putc('\n', fp);
	}
}

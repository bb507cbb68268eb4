/* SPDX-License-Identifier: MIT */
/* Addresses of traced processes as text. */
#include "consume/consume_int.h"

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

void consume_sym_format(struct consume *c, enum plan_val_kind kind, uint32_t proc, uint64_t addr, char *buf, size_t cap)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	struct obj_proc *p = kind < PLAN_KSYM ? sym_proc(c, proc) : NULL;
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
	if (kind == PLAN_UADDR || kind >= PLAN_KSYM)
		return addr;
	uint32_t tag = proc << 8 | (uint32_t)kind << 1 | 1;
	struct canon *e = &c->canon[(addr * WIRE_HASH_MULT ^ tag * 0x9e3779b9ull) >> 56 & (CANON_CNT - 1)];
	if (e->tag != tag || e->from != addr)
		*e = (struct canon){ addr, reduce_uncached(c, kind, proc, addr), tag };
	return e->to;
}

/* @line_fmt is one %s conversion, as printf("%-40k") makes it. */
void consume_sym_print_stack(struct consume *c, FILE *fp, const char *line_fmt, uint32_t indent, const struct plan_val *v,
		     const struct datum_src *src)
{
	uint32_t cnt;
	const uint8_t *p = consume_val_bytes(c, v, src, &cnt);
	putc('\n', fp);
	for (uint32_t i = 0; i + 8 <= cnt; i += 8) {
		uint64_t pc;
		char buf[1024];
		memcpy(&pc, p + i, 8);
		if (!pc)
			break;
		consume_sym_format(c, PLAN_UADDR, src->proc, pc, buf, sizeof(buf));
		fprintf(fp, "%*s", (int)indent, "");
		fprintf(fp, line_fmt, buf);
		putc('\n', fp);
	}
}

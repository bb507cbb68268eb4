/* SPDX-License-Identifier: MIT */
/* pidN:module:function:entry, return, offset. */
#include "probe/probe_int.h"
#include "isa/isa.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "libc", "libc.so" and "libc.so.6" all mean libc.so.6. */
static bool is_short_name(const char *want, const char *name)
{
	size_t len = strlen(want);
	if (!len || strncmp(want, name, len))
		return false;
	return !strncmp(name + len, ".so", 3) || (len > 3 && strstr(want, ".so") && (name[len] == '.' || !name[len]));
}

static bool module_fits(const char *want, const struct obj_module *m)
{
	if (!*want || obj_glob(want, m->name))
		return true;
	if (m->is_exe && !strcmp(want, "a.out"))
		return true;
	return !obj_is_glob(want) && is_short_name(want, m->name);
}

static bool is_hex(const char *s)
{
	return *s && strspn(s, "0123456789abcdefABCDEF") == strlen(s);
}

/* What of a function is asked for. */
struct places {
	bool entry, ret, all; /* all: every instruction */
	bool one;
	uint32_t offset;
};

static struct places places_of(const char *name)
{
	struct places p = { 0 };
	p.entry = !*name || obj_glob(name, "entry");
	p.ret = !*name || obj_glob(name, "return");
	p.all = !strcmp(name, "*");
	if (!p.entry && !p.ret && is_hex(name)) {
		p.one = true;
		p.offset = (uint32_t)strtoul(name, NULL, 16);
	}
	return p;
}

struct found {
	struct match *m;
	char prov[32];
	struct obj_proc *proc;
	struct obj_module *mod;
	const char *mod_name;
	const char *func_name;
	uint64_t addr, bytes;
};

static int add(struct found *f, const char *name, uint8_t kind, uint32_t offset)
{
	struct probe p = { .prov = f->prov, .mod = f->mod_name, .func = f->func_name, .name = name, .kind = kind, .module = f->mod,
			   .func_addr = f->addr, .func_bytes = f->bytes, .offset = offset };
	return table_add(f->m->table, &p, &f->m->hits);
}

static int add_offset(struct found *f, uint32_t offset)
{
	char name[16];
	snprintf(name, sizeof(name), "%x", offset);
	return add(f, name, WIRE_SITE_OFFSET, offset);
}

static int add_every(struct found *f)
{
	uint8_t *code = malloc(f->bytes);
	struct isa_insn in;
	int r = code && !obj_proc_read(f->proc, f->addr, code, f->bytes) ? 0 : -ENOMEM;
	for (uint64_t at = 0; !r && at < f->bytes; at += in.len) {
		if (isa_decode(code + at, f->bytes - at, f->addr + at, &in))
			break;
		r = add_offset(f, (uint32_t)at);
	}
	free(code);
	return r;
}

static int add_places(struct found *f, const struct places *p, struct err *reterr)
{
	int r = 0;
	if (p->one && p->offset >= f->bytes)
		return err_setf(reterr, -EINVAL, "offset 0x%x lies outside function %s, which has 0x%llx bytes", p->offset,
				f->func_name, (unsigned long long)f->bytes);
	if (p->entry)
		r = add(f, "entry", WIRE_SITE_ENTRY, 0);
	if (p->ret && !r)
		r = add(f, "return", WIRE_SITE_RETURN, 0);
	if (p->one && !r)
		r = add_offset(f, p->offset);
	if (p->all && !r)
		r = add_every(f);
	return r;
}

static bool is_part(const char *name)
{
	return strstr(name, ".cold") != NULL;
}

static int match_sym(struct found *f, const struct obj_sym *s, const struct places *p, struct err *reterr)
{
	f->func_name = s->name;
	f->addr = s->addr;
	f->bytes = s->bytes;
	if (s->is_ifunc) {
		if (obj_ifunc_target(f->proc, f->mod, s, &f->addr))
			return 0;
		struct obj_module *mod;
		const struct obj_sym *impl;
		if (obj_symbolize(f->proc, f->addr, &impl, &mod) || impl->addr != f->addr)
			return 0;
		f->bytes = impl->bytes;
	}
	return add_places(f, p, reterr);
}

static int match_module(struct found *f, struct err *reterr)
{
	const struct probe_spec *spec = f->m->spec;
	const struct obj_sym *s;
	uint32_t cnt;
	struct places places = places_of(spec->name);
	bool globbed = !*spec->func || obj_is_glob(spec->func);
	int r = obj_module_syms(f->proc, f->mod, &s, &cnt, NULL);
	if (r == -ENOMEM)
		return r;
	r = 0;
	for (uint32_t i = 0; i < cnt && !r; i++) {
		if ((!s[i].is_func && !s[i].is_ifunc) || is_part(s[i].name))
			continue;
		/* A glob gives each address once, under its preferred name. */
		if (globbed && i && s[i - 1].addr == s[i].addr)
			continue;
		if (!*spec->func || obj_name_matches(spec->func, s[i].name))
			r = match_sym(f, &s[i], &places, reterr);
	}
	return r;
}

/* pidN:a.out:-:ADDRESS */
static int match_address(struct found *f, struct err *reterr)
{
	const struct obj_sym *s;
	struct obj_module *mod;
	if (!is_hex(f->m->spec->name))
		return 0;
	uint64_t addr = strtoull(f->m->spec->name, NULL, 16) + (f->mod->is_exe ? f->mod->bias : 0);
	if (obj_symbolize(f->proc, addr, &s, &mod) || mod != f->mod)
		return err_setf(reterr, -EINVAL, "no function of %s covers address %s", f->mod->name, f->m->spec->name);
	f->func_name = "-";
	f->addr = s->addr;
	f->bytes = s->bytes;
	return add(f, f->m->spec->name, WIRE_SITE_OFFSET, (uint32_t)(addr - s->addr));
}

static int match_proc(struct match *m, uint32_t i, struct err *reterr)
{
	struct found f = { .m = m, .proc = m->procs[i] };
	int r = 0;
	snprintf(f.prov, sizeof(f.prov), "pid%d", m->pids[i]);
	if (!obj_glob(m->spec->prov, f.prov))
		return 0;
	for (uint32_t k = 0; k < obj_module_cnt(f.proc) && !r; k++) {
		f.mod = obj_module_at(f.proc, k);
		f.mod_name = f.mod->name;
		if (!f.mod->end || f.mod->is_vdso || !module_fits(m->spec->mod, f.mod))
			continue;
		r = !strcmp(m->spec->func, "-") ? match_address(&f, reterr) : match_module(&f, reterr);
	}
	return r;
}

static bool is_mine(const struct probe_spec *s)
{
	return !strncmp(s->prov, "pid", 3) && s->prov[3];
}

static int match_pid(struct match *m, struct err *reterr)
{
	int r = 0;
	if (!is_mine(m->spec))
		return 0;
	for (uint32_t i = 0; i < m->proc_cnt && !r; i++)
		r = match_proc(m, i, reterr);
	return r;
}

/* Functions like the one that was asked for, in the modules that were. */
static void offer_functions(const struct match *m, struct obj_proc *proc, struct near *n)
{
	for (uint32_t k = 0; k < obj_module_cnt(proc); k++) {
		struct obj_module *mod = obj_module_at(proc, k);
		const struct obj_sym *s;
		uint32_t cnt;
		if (!mod->end || !module_fits(m->spec->mod, mod) || obj_module_syms(proc, mod, &s, &cnt, NULL))
			continue;
		for (uint32_t i = 0; i < cnt; i++)
			if (s[i].is_func || s[i].is_ifunc)
				near_offer(n, s[i].name);
	}
}

static bool any_module(const struct match *m, struct obj_proc *proc, char *buf, size_t cap)
{
	size_t len = 0;
	buf[0] = 0;
	for (uint32_t k = 0; k < obj_module_cnt(proc); k++) {
		struct obj_module *mod = obj_module_at(proc, k);
		if (!mod->end)
			continue;
		if (module_fits(m->spec->mod, mod))
			return true;
		if (len < cap)
			len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", mod->name);
	}
	return false;
}

static void why_none_pid(const struct match *m, struct err *reterr)
{
	char text[700];
	if (!is_mine(m->spec))
		return;
	if (!m->proc_cnt) {
		err_setf(reterr, 0, "no process is given: use -p PID or -c COMMAND");
		return;
	}
	for (uint32_t i = 0; i < m->proc_cnt; i++) {
		char prov[32];
		snprintf(prov, sizeof(prov), "pid%d", m->pids[i]);
		if (!obj_glob(m->spec->prov, prov))
			continue;
		if (!any_module(m, m->procs[i], text, sizeof(text))) {
			err_setf(reterr, 0, "no module %s is loaded; loaded are %s", m->spec->mod, text);
			return;
		}
		struct near n = { .want = m->spec->func };
		offer_functions(m, m->procs[i], &n);
		near_print(&n, text, sizeof(text));
		err_setf(reterr, 0, "no function %s%s%s%s", m->spec->func, *m->spec->mod ? " in " : "", m->spec->mod, text);
		return;
	}
	err_setf(reterr, 0, "process %s is not among those given with -p or -c", m->spec->prov + 3);
}

const struct probe_provider probe_pid = { "pid", match_pid, why_none_pid };

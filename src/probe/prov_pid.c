/* SPDX-License-Identifier: MIT */
/* Functions of processes: entry, return, and instructions by their offset. */
#include "probe/probe_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name part of a description. */
struct names {
	bool entry, ret, offsets; /* offsets: those that match the glob */
	bool is_offset;           /* exactly this one: */
	uint64_t offset;
	const char *glob;
};

struct pid_search {
	const struct probe_query *q;
	struct found *found;
	struct obj_proc *proc;
	char prov[32];
	struct names names;
	uint32_t mods, funcs; /* that matched */
	struct pid_func far; /* a function that the offset is outside of, or inside an instruction of */
	bool far_inside;
	uint32_t far_before, far_after; /* where instructions begin around it */
	const char *unresolved;
};

static bool parse_hex(const char *s, uint64_t *ret)
{
	s += s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 2 : 0;
	if (!isxdigit((unsigned char)*s) || strlen(s) > 16)
		return false;
	char *end;
	*ret = strtoull(s, &end, 16);
	return !*end;
}

static int parse_names(const char *name, struct names *ret, struct err *reterr)
{
	struct names n = { .glob = name };
	if (!*name || obj_is_glob(name)) {
		n.entry = probe_glob(name, "entry");
		n.ret = probe_glob(name, "return");
		n.offsets = true;
	} else if (!strcmp(name, "entry")) {
		n.entry = true;
	} else if (!strcmp(name, "return")) {
		n.ret = true;
	} else if (parse_hex(name, &n.offset)) {
		n.is_offset = true;
	} else {
		return err_setf(reterr, -EINVAL, "a pid probe has no name %s: it is entry, return, or the offset of an "
				"instruction in hexadecimal, such as 1c", name);
	}
	*ret = n;
	return 0;
}

static int add(struct pid_search *s, const struct pid_func *f, uint8_t kind, uint32_t offset, const char *name)
{
	const struct probe p = { .prov = s->prov, .mod = f->mod->name, .func = f->name ? f->name : f->own, .name = name,
		.kind = kind, .module = f->mod, .func_addr = f->addr, .func_bytes = f->bytes, .offset = offset,
		.pid = obj_proc_pid(s->proc) };
	return probe_found(s->found, &p);
}

static int add_offset(struct pid_search *s, const struct pid_func *f, uint32_t offset)
{
	char name[16];
	snprintf(name, sizeof(name), "%x", offset);
	return add(s, f, WIRE_SITE_OFFSET, offset, name);
}

static bool is_boundary(const uint32_t *offs, uint32_t cnt, uint64_t offset)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (offs[i] == offset)
			return true;
	/* Behind what could be decoded nobody knows; the patcher decides. */
	return cnt && offset > offs[cnt - 1] + 15;
}

/* Of functions of one name that cannot have the offset, the program's own is what is meant, and the loader's last of all. */
static bool is_meant(const struct pid_search *s, const struct obj_module *m)
{
	const struct obj_module *far = s->far.mod;
	return !far || m->is_exe > far->is_exe || m->is_loader < far->is_loader;
}

static void note_inside(struct pid_search *s, const struct pid_func *f, const uint32_t *offs, uint32_t cnt)
{
	s->far = *f;
	s->far_inside = true;
	s->far_before = s->far_after = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		s->far_before = offs[i] < s->names.offset ? offs[i] : s->far_before;
		s->far_after = offs[i];
		if (offs[i] > s->names.offset)
			break;
	}
}

static int match_offsets(struct pid_search *s, const struct pid_func *f)
{
	uint32_t *offs, cnt;
	const struct names *n = &s->names;
	if (n->is_offset && n->offset >= f->bytes) {
		if (is_meant(s, f->mod)) {
			s->far = *f;
			s->far_inside = false;
		}
		return 0;
	}
	int rc = pid_insn_offsets(s->proc, f->mod, f->addr, f->bytes, &offs, &cnt);
	if (rc)
		return rc == -ENOMEM ? rc : 0;
	if (n->is_offset && is_boundary(offs, cnt, n->offset)) {
		rc = add_offset(s, f, (uint32_t)n->offset);
	} else if (n->is_offset && is_meant(s, f->mod)) {
		note_inside(s, f, offs, cnt);
	}
	for (uint32_t i = 0; n->offsets && i < cnt && !rc; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%x", offs[i]);
		if (probe_glob(n->glob, name))
			rc = add_offset(s, f, offs[i]);
	}
	free(offs);
	return rc;
}

static int match_func(struct pid_search *s, const struct pid_func *f)
{
	int rc = 0;
	s->funcs++;
	if (s->names.entry)
		rc = add(s, f, WIRE_SITE_ENTRY, 0, "entry");
	if (!rc && s->names.ret)
		rc = add(s, f, WIRE_SITE_RETURN, 0, "return");
	if (!rc && (s->names.offsets || s->names.is_offset))
		rc = match_offsets(s, f);
	return rc;
}

static int match_module(struct pid_search *s, struct obj_module *mod)
{
	struct pid_funcs funcs = { .unresolved = s->unresolved };
	int rc = pid_funcs_find(s->proc, mod, s->q->spec->func, &funcs, s->q->reterr);
	/* A module that cannot be read has no functions; the others may. */
	if (rc)
		return rc == -ENOMEM ? rc : 0;
	s->unresolved = funcs.unresolved;
	for (uint32_t i = 0; i < funcs.cnt && !rc; i++)
		rc = match_func(s, &funcs.v[i]);
	free(funcs.v);
	return rc;
}

static int match_modules(struct pid_search *s)
{
	const char *pattern = s->q->spec->mod;
	int best = pid_mod_best(pattern, s->proc), rc = 0;
	for (uint32_t i = 0; i < obj_module_cnt(s->proc) && best && !rc; i++) {
		struct obj_module *mod = obj_module_at(s->proc, i);
		if (pid_mod_rank(pattern, mod) != best)
			continue;
		s->mods++;
		rc = match_module(s, mod);
	}
	return rc;
}

/* ---- addresses: pidN:a.out:-:ADDR, pidN::0xADDR:, and pidN::FUNC+OFFSET: ---- */

static struct obj_module *executable(struct obj_proc *proc)
{
	for (uint32_t i = 0; i < obj_module_cnt(proc); i++)
		if (obj_module_at(proc, i)->is_exe)
			return obj_module_at(proc, i);
	return NULL;
}

static int match_address(struct pid_search *s)
{
	const struct probe_spec *spec = s->q->spec;
	struct err *reterr = s->q->reterr;
	struct obj_module *exe = executable(s->proc);
	uint64_t addr;
	if (*spec->mod && strcmp(spec->mod, "a.out") && !(exe && !strcmp(spec->mod, exe->name)))
		return err_setf(reterr, -ELIBBAD, "function - means addresses in a.out, not in %s", spec->mod);
	if (!parse_hex(spec->name, &addr))
		return err_setf(reterr, -EINVAL, "with the function -, the probe's name is an address in hexadecimal, not \"%s\"",
				spec->name);
	/* As in the process, or as in the file. */
	struct obj_module *mod = obj_module_by_addr(s->proc, addr);
	if (!mod && exe) {
		addr += exe->bias;
		mod = exe;
	}
	const struct obj_range *r = mod ? obj_range_at(s->proc, mod, addr) : NULL;
	if (!r)
		return err_setf(reterr, -ERANGE, "no code that is known stands at address %s", spec->name);
	struct pid_func f = { .mod = mod, .addr = r->start, .bytes = r->end - r->start, .name = "-" };
	uint32_t *offs, cnt;
	int rc = pid_insn_offsets(s->proc, mod, f.addr, f.bytes, &offs, &cnt);
	if (rc)
		return err_setf(reterr, rc, "cannot read the code at %s: %s", spec->name, strerror(-rc));
	bool ok = is_boundary(offs, cnt, addr - f.addr);
	free(offs);
	if (!ok)
		return err_setf(reterr, -EINVAL, "address %s is inside an instruction", spec->name);
	return add(s, &f, WIRE_SITE_OFFSET, (uint32_t)(addr - f.addr), spec->name);
}

/* The module that has code at *addr: as in the process, or as in the file of a module that is meant (none is named:
 * the program's).  Makes it an address of the process. */
static struct obj_module *module_at(struct pid_search *s, uint64_t *addr)
{
	const char *pattern = s->q->spec->mod;
	struct obj_module *mod = obj_module_by_addr(s->proc, *addr);
	if (mod && pid_mod_rank(pattern, mod))
		return mod;
	for (uint32_t i = 0; i < obj_module_cnt(s->proc); i++) {
		mod = obj_module_at(s->proc, i);
		bool meant = *pattern ? pid_mod_rank(pattern, mod) : mod->is_exe;
		s->mods += meant;
		if (!meant || !obj_range_at(s->proc, mod, *addr + mod->bias))
			continue;
		*addr += mod->bias;
		return mod;
	}
	return NULL;
}

static int match_in_func(struct pid_search *s, const struct pid_func *f, uint64_t addr)
{
	const struct probe_spec *spec = s->q->spec;
	bool ret = !strcmp(spec->name, "return");
	if (addr == f->addr && (ret || !strcmp(spec->name, "entry")))
		return add(s, f, ret ? WIRE_SITE_RETURN : WIRE_SITE_ENTRY, 0, spec->name);
	if (*spec->name)
		return err_setf(s->q->reterr, -EINVAL, "address %s is not where a function begins: leave the probe's name empty",
				spec->func);
	s->names = (struct names){ .is_offset = true, .offset = addr - f->addr, .glob = "" };
	int rc = match_offsets(s, f);
	if (!rc && s->far.mod)
		return err_setf(s->q->reterr, -EINVAL, "address %s is inside an instruction: they begin at %#llx and %#llx", spec->func,
				(unsigned long long)(f->addr + s->far_before), (unsigned long long)(f->addr + s->far_after));
	return rc;
}

/* The function part is a number. */
static int match_number(struct pid_search *s, uint64_t addr)
{
	const char *text = s->q->spec->func;
	struct obj_module *mod = module_at(s, &addr), *any;
	const struct obj_range *r = mod ? obj_range_at(s->proc, mod, addr) : NULL;
	const struct obj_sym *sym;
	if (!r && !s->mods && *s->q->spec->mod) { /* it may yet come */
		near_modules(s->proc, s->q->spec->mod, s->q->reterr);
		return 0;
	}
	if (!r)
		return err_setf(s->q->reterr, -ERANGE, "no code that is known stands at address %s", text);
	struct pid_func f = { .mod = mod, .addr = r->start, .bytes = r->end - r->start };
	snprintf(f.own, sizeof(f.own), "sub_%llx", (unsigned long long)(r->start - mod->bias));
	if (!obj_symbolize(s->proc, r->start, &sym, &any) && sym->addr == r->start)
		f.name = sym->name;
	return match_in_func(s, &f, addr);
}

/* "FUNC+0x1c" or "FUNC+28", with no name: cuts the number off. */
static bool split_offset(const struct probe_spec *spec, char *ret_func, size_t cap, uint64_t *ret_offset)
{
	const char *plus = strrchr(spec->func, '+');
	size_t len = plus ? (size_t)(plus - spec->func) : 0;
	if (*spec->name || !len || len >= cap || !isdigit((unsigned char)plus[1]))
		return false;
	char *end;
	bool hex = plus[1] == '0' && plus[2] == 'x';
	*ret_offset = strtoull(plus + 1, &end, hex ? 16 : 10);
	if (*end)
		return false;
	memcpy(ret_func, spec->func, len);
	ret_func[len] = 0;
	return true;
}

/* ---- processes ---- */

static int offset_error(const struct pid_search *s)
{
	const char *name = s->far.name ? s->far.name : s->far.own;
	const char *mod = s->far.mod->is_exe ? "a.out" : s->far.mod->name;
	if (s->far_inside)
		return err_setf(s->q->reterr, -EINVAL, "offset 0x%llx of %s in %s is inside an instruction: they begin at 0x%x and 0x%x "
				"(dyntrace -ln '%s:%s:%s:' lists all)", (unsigned long long)s->names.offset, name, mod, s->far_before,
				s->far_after, s->prov, mod, name);
	return err_setf(s->q->reterr, -ERANGE, "offset 0x%llx is outside of %s in %s, which has 0x%llx bytes",
			(unsigned long long)s->names.offset, name, mod, (unsigned long long)s->far.bytes);
}

/* Nothing matched: why. */
static void explain(const struct pid_search *s)
{
	const struct probe_spec *spec = s->q->spec;
	struct err *reterr = s->q->reterr;
	if (!s->mods)
		near_modules(s->proc, spec->mod, reterr);
	else if (s->unresolved)
		err_setf(reterr, 0, "%s is chosen at run time (an IFUNC) and process %d has not chosen yet: probe one of its "
			 "implementations", s->unresolved, obj_proc_pid(s->proc));
	else if (!s->funcs)
		near_functions(s->proc, spec->mod, spec->func, reterr);
}

static int match_proc(const struct probe_query *q, struct found *f, uint32_t i)
{
	struct pid_search s = { .q = q, .found = f, .proc = q->procs[i] };
	snprintf(s.prov, sizeof(s.prov), "pid%d", q->pids[i]);
	uint64_t number;
	char func[512];
	struct probe_spec spec = *q->spec;
	struct probe_query own = *q;
	int rc = 0;
	if (!strcmp(q->spec->func, "-"))
		return match_address(&s);
	if (!strncmp(q->spec->func, "0x", 2) && parse_hex(q->spec->func, &number))
		return match_number(&s, number);
	if (split_offset(q->spec, func, sizeof(func), &number)) {
		spec.func = func;
		own.spec = &spec;
		s.q = &own;
		s.names = (struct names){ .is_offset = true, .offset = number, .glob = "" };
	} else {
		rc = parse_names(q->spec->name, &s.names, q->reterr);
	}
	if (!rc)
		rc = match_modules(&s);
	if (rc || f->cnt)
		return rc;
	if (s.far.mod && *q->spec->func && !obj_is_glob(q->spec->func))
		return offset_error(&s);
	explain(&s);
	return 0;
}

/* "pid123", or a glob that ends in the number: "p*d123". */
static bool is_pid_provider(const char *prov, bool *ret_glob)
{
	size_t len = strlen(prov), digits = 0;
	while (digits < len && isdigit((unsigned char)prov[len - 1 - digits]))
		digits++;
	*ret_glob = obj_is_glob(prov);
	return digits && (*ret_glob || (len == digits + 3 && !strncmp(prov, "pid", 3)));
}

static bool was_known(const struct probe_table *t, const char *prov)
{
	for (uint32_t i = 0; i < probe_cnt(t); i++)
		if (!strcmp(probe_at(t, i)->prov, prov))
			return true;
	return false;
}

static int match(const struct probe_query *q, struct found *f)
{
	const char *prov = q->spec->prov;
	bool is_glob, any = false;
	int rc = 0;
	if (!is_pid_provider(prov, &is_glob)) {
		if (!*prov && *q->spec->func && !f->cnt && !near_meant(q->spec) && !near_shifted(q->spec, q->reterr))
			err_setf(q->reterr, 0, "functions of a process belong to its pid provider: pid$target:%s:%s:%s", q->spec->mod,
				 q->spec->func, q->spec->name);
		return 0;
	}
	for (uint32_t i = 0; i < q->proc_cnt && !rc; i++) {
		char name[32];
		snprintf(name, sizeof(name), "pid%d", q->pids[i]);
		if (!obj_glob(prov, name))
			continue;
		any = true;
		rc = match_proc(q, f, i);
	}
	if (any || is_glob)
		return rc;
	err_setf(q->reterr, 0, "there is no process %s", prov + 3);
	/* One that has gone meanwhile is no mistake. */
	if (!was_known(f->table, prov))
		return -ESRCH;
	return rc;
}

const struct probe_provider probe_pid = { "pid", match };

/* SPDX-License-Identifier: MIT */
/*
 * Probes that programs declare themselves (USDT): PROVIDERpid:module:function:name.
 * The function is the one in which the place stands; places of one probe in one
 * function (it was inlined) are one probe.
 */
#include "probe/probe_int.h"

#include "base/near.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_CNT 12
#define NAME_CAP 256

/* As D names it: two underscores are a dash. */
static void d_name(const char *s, char *buf, size_t cap)
{
	size_t n = 0;
	for (; *s && n + 1 < cap; s++) {
		bool dash = s[0] == '_' && s[1] == '_';
		buf[n++] = dash ? '-' : *s;
		s += dash;
	}
	buf[n] = 0;
}

static bool name_matches(const char *pattern, const char *note_name)
{
	char name[NAME_CAP];
	d_name(note_name, name, sizeof(name));
	return probe_glob(pattern, name) || !strcmp(pattern, note_name);
}

/* ---- the function around a place ---- */

struct place {
	uint64_t addr, bytes; /* of the function */
	char name[512];
};

static void name_of(struct obj_proc *proc, const struct obj_module *mod, uint64_t site, struct place *ret)
{
	const struct obj_sym *sym;
	struct obj_module *in;
	if (obj_symbolize(proc, ret->addr, &sym, &in) && obj_symbolize(proc, site, &sym, &in)) {
		snprintf(ret->name, sizeof(ret->name), "sub_%llx", (unsigned long long)(ret->addr - mod->bias));
		return;
	}
	/* Of a part that was moved away the program's text says nothing. */
	const char *cold = strstr(sym->name, ".cold");
	size_t len = cold && (!cold[5] || cold[5] == '.') ? (size_t)(cold - sym->name) : strlen(sym->name);
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)len, sym->name);
}

static bool place_of(struct obj_proc *proc, struct obj_module *mod, uint64_t site, struct place *ret)
{
	const struct obj_range *r = obj_range_at(proc, mod, site);
	const struct obj_sym *sym;
	struct obj_module *in;
	if (r) {
		ret->addr = r->start;
		ret->bytes = r->end - r->start;
	} else if (!obj_symbolize(proc, site, &sym, &in)) {
		ret->addr = sym->addr;
		ret->bytes = sym->bytes;
	} else {
		return false;
	}
	name_of(proc, mod, site, ret);
	return true;
}

/* ---- matching ---- */

struct usdt_search {
	const struct probe_query *q;
	struct found *found;
	struct obj_proc *proc;
	pid_t pid;
	uint32_t probes; /* of the provider, whatever their names */
};

static int add(struct usdt_search *s, struct obj_module *mod, const struct obj_usdt *u, const char *prov)
{
	struct place at;
	char name[NAME_CAP];
	if (!place_of(s->proc, mod, u->addr, &at) ||
	    (!probe_glob(s->q->spec->func, at.name) && !obj_name_matches(s->q->spec->func, at.name)))
		return 0;
	d_name(u->name, name, sizeof(name));
	const struct probe p = { .prov = prov, .mod = mod->name, .func = at.name, .name = name, .kind = WIRE_SITE_USDT,
				 .module = mod, .func_addr = at.addr, .func_bytes = at.bytes, .pid = s->pid };
	return probe_found(s->found, &p);
}

static int match_module(struct usdt_search *s, struct obj_module *mod, bool wanted)
{
	const struct probe_spec *spec = s->q->spec;
	const struct obj_usdt *u;
	uint32_t cnt;
	/* A module that cannot be read has none. */
	int rc = obj_module_usdt(s->proc, mod, &u, &cnt, NULL);
	for (uint32_t i = 0; !rc && i < cnt; i++) {
		char prov[NAME_CAP];
		snprintf(prov, sizeof(prov), "%.200s%d", u[i].prov, (int)s->pid);
		if (!probe_glob(spec->prov, prov))
			continue;
		s->probes++;
		if (wanted && name_matches(spec->name, u[i].name))
			rc = add(s, mod, &u[i], prov);
	}
	return rc == -ENOMEM ? rc : 0;
}

static int match_proc(struct usdt_search *s)
{
	int best = pid_mod_best(s->q->spec->mod, s->proc), rc = 0;
	for (uint32_t i = 0; i < obj_module_cnt(s->proc) && !rc; i++) {
		struct obj_module *mod = obj_module_at(s->proc, i);
		if (mod->end && !mod->is_vdso)
			rc = match_module(s, mod, best && pid_mod_rank(s->q->spec->mod, mod) == best);
	}
	return rc;
}

/* ---- what to say where nothing matched ---- */

static void list_add(char *buf, size_t cap, uint32_t *cnt, const char *word)
{
	size_t len = strlen(buf);
	char key[NAME_CAP + 4];
	snprintf(key, sizeof(key), " %s,", word);
	if (strstr(buf, key) || len + strlen(key) + 4 > cap || *cnt > LIST_CNT)
		return;
	if (++*cnt > LIST_CNT)
		snprintf(buf + len, cap - len, " ...,");
	else
		snprintf(buf + len, cap - len, "%s", key);
}

static bool is_near_pid(const char *prov)
{
	char word[8];
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(prov, "0123456789"), prov);
	return near_distance(word, "pid", 1) <= 1;
}

/* Providers of the process, or, where the provider is right, the names of its probes. */
static void explain(const struct usdt_search *s)
{
	char list[600] = "";
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < obj_module_cnt(s->proc); i++) {
		struct obj_module *mod = obj_module_at(s->proc, i);
		const struct obj_usdt *u;
		uint32_t n;
		if (!mod->end || mod->is_vdso || obj_module_usdt(s->proc, mod, &u, &n, NULL))
			continue;
		for (uint32_t k = 0; k < n; k++) {
			char prov[NAME_CAP], name[NAME_CAP];
			snprintf(prov, sizeof(prov), "%.200s%d", u[k].prov, (int)s->pid);
			d_name(u[k].name, name, sizeof(name));
			if (!s->probes)
				list_add(list, sizeof(list), &cnt, prov);
			else if (probe_glob(s->q->spec->prov, prov))
				list_add(list, sizeof(list), &cnt, name);
		}
	}
	if (cnt)
		list[strlen(list) - 1] = 0;
	if (!s->probes && is_near_pid(s->q->spec->prov))
		err_setf(s->q->reterr, 0, "process %d declares no probes of %s; did you mean pid%d?", (int)s->pid, s->q->spec->prov, (int)s->pid);
	else if (s->probes)
		err_setf(s->q->reterr, 0, "%s has other probes:%s (list-symbols -u shows the functions that they are in)", s->q->spec->prov, list);
	else
		err_setf(s->q->reterr, 0, "process %d declares no probes of %s%s%s", (int)s->pid, s->q->spec->prov,
			 cnt ? "; its providers are" : "", list);
}

static bool ends_in(const char *prov, pid_t pid)
{
	char num[16];
	snprintf(num, sizeof(num), "%d", (int)pid);
	size_t len = strlen(prov), n = strlen(num);
	return len > n && !strcmp(prov + len - n, num) && !isdigit((unsigned char)prov[len - n - 1]);
}

static int match(const struct probe_query *q, struct found *f)
{
	const char *prov = q->spec->prov;
	int rc = 0;
	for (uint32_t i = 0; i < q->proc_cnt && !rc; i++) {
		struct usdt_search s = { .q = q, .found = f, .proc = q->procs[i], .pid = q->pids[i] };
		bool named = ends_in(prov, s.pid);
		if (!s.proc || (*prov && !obj_is_glob(prov) && !named))
			continue;
		uint32_t before = f->cnt;
		rc = match_proc(&s);
		if (named && !rc && f->cnt == before && strncmp(prov, "pid", 3))
			explain(&s);
	}
	return rc;
}

const struct probe_provider probe_usdt = { "usdt", match };

bool probe_usdt_is(const struct probe *p, const struct obj_usdt *u)
{
	char name[NAME_CAP];
	size_t len = strlen(u->prov);
	d_name(u->name, name, sizeof(name));
	return u->addr - p->func_addr < p->func_bytes && !strcmp(name, p->name) && !strncmp(p->prov, u->prov, len) &&
	       (pid_t)strtol(p->prov + len, NULL, 10) == p->pid;
}

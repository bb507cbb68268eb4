/* SPDX-License-Identifier: MIT */
/*
 * Probes of the kernel.  All are one list in a fixed order, from which each has
 * its number: those of system calls, of tracepoints (sdt, rawtp), of what is
 * made of them (proc, sched, io).  The list is not read for descriptions that
 * can mean nothing in it.
 */
#include "probe/probe_int.h"

#include "kern/kern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_FIRST 1001u /* behind the tool's own, before those of processes */
#define MODULE "vmlinux"

static const char *const provs[] = { "syscall", "sdt", "rawtp", "proc", "sched", "io", "ip", "tcp", "udp", "lockstat" };

static bool may_be_listed(const struct probe_spec *s)
{
	static const char *const tool[] = { "BEGIN", "END", "ERROR" };
	for (size_t i = 0; i < ARRAY_CNT(tool); i++)
		if (!*s->prov && !strcmp(s->name, tool[i]))
			return false;
	if (!*s->prov && (!strncmp(s->name, "tick-", 5) || !strncmp(s->name, "profile-", 8)))
		return false;
	for (size_t i = 0; i < ARRAY_CNT(provs); i++)
		if (probe_glob(s->prov, provs[i]))
			return true;
	return false;
}

bool probe_may_be_kernel(const struct probe_spec *s)
{
	bool is_profile = probe_glob(s->prov, "profile") && (!strncmp(s->name, "profile-", 8) || (*s->prov && !*s->name));
	bool is_cpc = *s->prov && probe_glob(s->prov, "cpc");
	bool is_fbt = *s->prov && probe_glob(s->prov, "fbt");
	return may_be_listed(s) || is_cpc || is_fbt || (is_profile && kern_may_trace(NULL));
}

/* ---- the list ---- */

struct walk {
	const struct probe_spec *spec;
	struct found *found;
	uint32_t id;
	bool by_prov; /* some probe's provider is meant */
};

static bool prov_meant(struct walk *w, const char *prov)
{
	bool is = probe_glob(w->spec->prov, prov);
	w->by_prov |= is;
	return is;
}

/* The next one of the list. */
static int offer(struct walk *w, struct probe p)
{
	const struct probe_spec *s = w->spec;
	p.id = w->id++;
	p.kind = WIRE_SITE_KERNEL;
	if (!probe_glob(s->name, p.name) || !probe_glob(s->func, p.func) || !probe_glob(s->mod, p.mod))
		return 0;
	return probe_found(w->found, &p);
}

static int walk_syscalls(struct walk *w)
{
	const struct kern_syscall *v;
	uint32_t cnt = kern_syscalls(&v);
	int rc = 0;
	if (!prov_meant(w, "syscall")) {
		w->id += 2 * cnt;
		return 0;
	}
	for (uint32_t i = 0; i < cnt && !rc; i++) {
		struct probe p = { .prov = "syscall", .mod = MODULE, .func = v[i].name, .name = "entry",
				   .place = { .at = PROBE_KERN_ENTER, .nr = v[i].nr, .name = v[i].name } };
		rc = offer(w, p);
		p.name = "return";
		p.place.at = PROBE_KERN_EXIT;
		rc = rc ? rc : offer(w, p);
	}
	return rc;
}

static int walk_events(struct walk *w, const char *prov, enum probe_kern_at at)
{
	const struct kern_event *v;
	uint32_t cnt = kern_events(&v, NULL);
	int rc = 0;
	if (!prov_meant(w, prov)) {
		w->id += cnt;
		return 0;
	}
	for (uint32_t i = 0; i < cnt && !rc; i++)
		rc = offer(w, (struct probe){ .prov = prov, .mod = v[i].group, .func = "", .name = v[i].name,
					      .place = { .at = at, .group = v[i].group, .name = v[i].name } });
	return rc;
}

static bool place_exists(const struct probe_kern_place *p)
{
	switch (p->at) {
	case PROBE_KERN_NONE:
		return false;
	case PROBE_KERN_ENTER:
	case PROBE_KERN_EXIT:
		return kern_syscall_nr(p->name) >= 0;
	case PROBE_KERN_RAW:
	case PROBE_KERN_EVENT:
		return kern_has_event(p->name);
	case PROBE_KERN_KPROBE:
	case PROBE_KERN_KRETPROBE:
		return kern_can_kprobe(NULL) && kern_symbol(p->name);
	default:
		return true;
	}
}

bool probe_kern_place_counts(const struct probe_kern *k, uint32_t i)
{
	for (uint32_t o = 0; k->places[i].instead && o < i; o++)
		if (place_exists(&k->places[o]))
			return false;
	return place_exists(&k->places[i]);
}

static bool exists(const struct probe_kern *k)
{
	for (uint32_t i = 0; i < PROBE_KERN_PLACES; i++)
		if (probe_kern_place_counts(k, i))
			return true;
	return false;
}

static int walk_sdt(struct walk *w, const struct probe_kern *v, uint32_t cnt)
{
	int rc = 0;
	bool meant = prov_meant(w, v->prov);
	for (uint32_t i = 0; i < cnt && !rc; i++) {
		if (meant && probe_glob(w->spec->name, v[i].name) && exists(&v[i]))
			rc = offer(w, (struct probe){ .prov = v[i].prov, .mod = MODULE, .func = "", .name = v[i].name, .kern = &v[i] });
		else
			w->id++;
	}
	return rc;
}

static int match(const struct probe_query *q, struct found *f)
{
	struct walk w = { .spec = q->spec, .found = f, .id = ID_FIRST };
	uint32_t before = f->cnt;
	if (!may_be_listed(q->spec))
		return 0;
	int rc = walk_syscalls(&w);
	rc = rc ? rc : walk_events(&w, "sdt", PROBE_KERN_EVENT);
	rc = rc ? rc : walk_events(&w, "rawtp", PROBE_KERN_RAW);
	for (uint32_t i = 0; i < probe_kern_sdt_provs && !rc; i++)
		rc = walk_sdt(&w, probe_kern_sdt[i], probe_kern_sdt_cnt[i]);
	if (!rc && f->cnt == before && *q->spec->prov && w.by_prov)
		near_kernel(q->spec, q->reterr);
	return rc;
}

const struct probe_provider probe_kernel = { "kernel", match };

/* ---- arguments ---- */

static uint32_t from_fields(const struct kern_field *v, uint32_t cnt, struct probe_kern_arg *ret, uint32_t cap)
{
	uint32_t n = cnt < cap ? cnt : cap;
	for (uint32_t i = 0; i < n; i++)
		ret[i] = (struct probe_kern_arg){ .native = v[i].type, .from = (uint8_t)i };
	return n;
}

static uint32_t of_kern(const struct probe_kern *k, struct probe_kern_arg *ret, uint32_t cap)
{
	uint32_t n = 0;
	while (n < cap && n < ARRAY_CNT(k->args) && k->args[n].native) {
		ret[n] = k->args[n];
		n++;
	}
	return n;
}

uint32_t probe_kern_args(const struct probe *p, struct probe_kern_arg *ret, uint32_t cap, bool *ret_known)
{
	const struct kern_field *v;
	uint32_t cnt = 0;
	*ret_known = true;
	if (p->kern)
		return of_kern(p->kern, ret, cap);
	switch (p->place.at) {
	case PROBE_KERN_ENTER:
		v = kern_syscall_args(p->place.name, &cnt);
		break;
	case PROBE_KERN_EXIT:
		ret[0] = (struct probe_kern_arg){ .native = "long" };
		return cap ? 1 : 0;
	case PROBE_KERN_EVENT:
		v = kern_event_fields(p->place.group, p->place.name, &cnt);
		break;
	case PROBE_KERN_CLOCK:
	case PROBE_KERN_COUNTER:
		return 0;
	default:
		v = NULL;
	}
	*ret_known = v != NULL || (p->place.at == PROBE_KERN_ENTER && kern_syscall_known(p->place.name));
	return v ? from_fields(v, cnt, ret, cap) : 0;
}

/* SPDX-License-Identifier: MIT */
/* Names that somebody may have meant: by edit distance, small and capital letters alike. */
#include "probe/probe_int.h"

#include "base/near.h"
#include "kern/kern.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_CNT 5
#define LIST_CNT 12

struct near {
	const char *name[NEAR_CNT];
	uint32_t dist[NEAR_CNT];
	uint32_t cnt;
};

static bool has(const struct near *n, const char *name)
{
	for (uint32_t i = 0; i < n->cnt; i++)
		if (!strcmp(n->name[i], name))
			return true;
	return false;
}

/* Kept sorted by distance; the last falls out. */
static void offer(struct near *n, const char *name, const char *wanted)
{
	uint32_t max = near_max(wanted), d = near_distance(name, wanted, max), at = n->cnt;
	if (d > max || has(n, name))
		return;
	while (at && n->dist[at - 1] > d)
		at--;
	if (at == NEAR_CNT)
		return;
	uint32_t last = n->cnt < NEAR_CNT ? n->cnt++ : NEAR_CNT - 1;
	for (; last > at; last--) {
		n->name[last] = n->name[last - 1];
		n->dist[last] = n->dist[last - 1];
	}
	n->name[at] = name;
	n->dist[at] = d;
}

static void append(char *buf, size_t cap, const char *sep, const char *s)
{
	size_t len = strlen(buf);
	snprintf(buf + len, cap - len, "%s%s", len ? sep : "", s);
}

static const char *lead(const struct near *n)
{
	return !n->cnt ? "" : n->cnt == 1 ? ": the nearest name is " : ": near names are ";
}

static void list_modules(struct obj_proc *p, char *buf, size_t cap)
{
	uint32_t shown = 0, more = 0;
	buf[0] = 0;
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		const struct obj_module *m = obj_module_at(p, i);
		if (!m->end)
			continue;
		if (shown < LIST_CNT) {
			append(buf, cap, ", ", m->name);
			snprintf(buf + strlen(buf), cap - strlen(buf), "%s", m->is_exe ? " (or a.out)" : "");
		} else
			more++;
		shown++;
	}
	if (more)
		snprintf(buf + strlen(buf), cap - strlen(buf), " and %u more", more);
}

/* "redis*d" has "redis", which is in redis-server. */
static bool has_part(const char *name, const char *pattern)
{
	char part[64];
	size_t len = strcspn(pattern, "*?[");
	if (!len && (*pattern == '*' || *pattern == '?'))
		len = strcspn(++pattern, "*?[");
	snprintf(part, sizeof(part), "%.*s", (int)len, pattern);
	return len > 2 && len < sizeof(part) && strcasestr(name, part);
}

static void offer_modules(struct obj_proc *p, const char *pattern, struct near *n)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		const struct obj_module *m = obj_module_at(p, i);
		char stem[NEAR_NAME_MAX];
		if (!m->end)
			continue;
		offer(n, m->name, pattern);
		snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(m->name, "."), m->name);
		if (!has(n, m->name) && n->cnt < NEAR_CNT &&
		    (near_distance(stem, pattern, near_max(pattern)) <= near_max(pattern) || has_part(m->name, pattern))) {
			n->dist[n->cnt] = near_max(pattern);
			n->name[n->cnt++] = m->name;
		}
	}
}

void near_modules(struct obj_proc *p, const char *pattern, struct err *reterr)
{
	struct near n = { .cnt = 0 };
	char list[512], names[300] = "";
	list_modules(p, list, sizeof(list));
	offer_modules(p, pattern, &n);
	for (uint32_t i = 0; i < n.cnt; i++)
		append(names, sizeof(names), i + 1 < n.cnt ? ", " : " or ", n.name[i]);
	err_setf(reterr, PROBE_NO_MODULE, "no module of process %d matches %s%s%s%s; loaded are %s",
		 obj_proc_pid(p), pattern, n.cnt ? " (did you mean " : "", names, n.cnt ? "?)" : "", list);
}

static void offer_module(struct obj_proc *p, struct obj_module *m, const char *pattern, struct near *n)
{
	const struct obj_sym *syms;
	uint32_t cnt;
	if (obj_module_syms(p, m, &syms, &cnt, NULL))
		return;
	for (uint32_t i = 0; i < cnt; i++)
		if (syms[i].is_func || syms[i].is_ifunc)
			offer(n, syms[i].name, pattern);
}

static bool module_has(struct obj_proc *p, struct obj_module *m, const char *pattern)
{
	const struct obj_sym *syms;
	uint32_t cnt;
	if (!m->end || obj_module_syms(p, m, &syms, &cnt, NULL))
		return false;
	for (uint32_t i = 0; i < cnt; i++)
		if ((syms[i].is_func || syms[i].is_ifunc) && obj_name_matches(pattern, syms[i].name))
			return true;
	return false;
}

static struct obj_module *elsewhere(struct obj_proc *p, const char *mod_pattern, const char *pattern)
{
	for (uint32_t i = 0; *mod_pattern && i < obj_module_cnt(p); i++) {
		struct obj_module *m = obj_module_at(p, i);
		if (!pid_mod_rank(mod_pattern, m) && module_has(p, m, pattern))
			return m;
	}
	return NULL;
}

/* ---- of the kernel ---- */

static void offer_syscalls(const char *wanted, struct near *n)
{
	const struct kern_syscall *v;
	uint32_t cnt = kern_syscalls(&v);
	for (uint32_t i = 0; i < cnt; i++)
		if (probe_glob(wanted, v[i].name))
			return; /* it is not that which is wrong */
	for (uint32_t i = 0; i < cnt; i++)
		offer(n, v[i].name, wanted);
}

static void offer_events(const char *wanted, struct near *n)
{
	const struct kern_event *v;
	uint32_t cnt = kern_events(&v, NULL);
	for (uint32_t i = 0; i < cnt; i++)
		offer(n, v[i].name, wanted);
}

static void offer_sdt(const struct probe_spec *s, struct near *n)
{
	for (uint32_t i = 0; i < probe_kern_sdt_provs; i++)
		for (uint32_t k = 0; k < probe_kern_sdt_cnt[i]; k++)
			if (probe_glob(s->prov, probe_kern_sdt[i][k].prov))
				offer(n, probe_kern_sdt[i][k].name, s->name);
}

/* Other tools' words for the two ends of a call. */
static void offer_ends(const char *wanted, struct near *n)
{
	static const char *const words[][2] = { { "enter", "entry" }, { "start", "entry" }, { "exit", "return" }, { "ret", "return" } };
	if (!strcmp(wanted, "entry") || !strcmp(wanted, "return"))
		return;
	for (size_t i = 0; i < ARRAY_CNT(words); i++)
		if (!strcmp(wanted, words[i][0]))
			offer(n, words[i][1], words[i][1]);
	offer(n, "entry", wanted);
	offer(n, "return", wanted);
}

/* A tracepoint of that name in another group. */
static bool elsewhere_event(const struct probe_spec *s, struct err *reterr)
{
	const struct kern_event *v;
	uint32_t cnt = kern_events(&v, NULL);
	for (uint32_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].name, s->name) && !probe_glob(s->mod, v[i].group)) {
			err_setf(reterr, 0, "the kernel has that tracepoint as %s:%s::%s%s", s->prov, v[i].group, v[i].name,
				 strcmp(v[i].group, "vmlinux") ? "" : " here, because names of groups cannot be read (tracefs)");
			return true;
		}
	return false;
}

/* What is asked for in the part that counts with that provider. */
void near_kernel(const struct probe_spec *s, struct err *reterr)
{
	struct near n = { .cnt = 0 };
	char list[512] = "";
	bool is_call = probe_glob(s->prov, "syscall"), is_event = probe_glob(s->prov, "sdt") || probe_glob(s->prov, "rawtp");
	const struct kern_event *v;
	if (is_event && !kern_events(&v, reterr))
		return;
	if (is_event && elsewhere_event(s, reterr))
		return;
	if (is_call && *s->func)
		offer_syscalls(s->func, &n);
	if (is_call && *s->name)
		offer_ends(s->name, &n);
	if (is_event)
		offer_events(s->name, &n);
	offer_sdt(s, &n);
	for (uint32_t i = 0; i < n.cnt; i++)
		append(list, sizeof(list), ", ", n.name[i]);
	if (!n.cnt && !strcmp(s->prov, "lockstat"))
		err_setf(reterr, 0, "the kernel's tracepoints tell of waits for locks, not of locks that are taken or left: adaptive-block, "
			 "adaptive-spin, rw-block, rw-spin, spin-spin");
	else
		err_setf(reterr, 0, "the kernel has no such probe%s%s", lead(&n), list);
}

void near_kernel_functions(const struct probe_spec *s, struct err *reterr)
{
	struct near n = { .cnt = 0 };
	char list[512] = "";
	const struct kern_func *v;
	uint32_t cnt = kern_funcs(&v);
	for (uint32_t i = 0; i < cnt; i++)
		if (probe_glob(s->mod, v[i].module))
			offer(&n, v[i].name, s->func);
	for (uint32_t i = 0; i < n.cnt; i++)
		append(list, sizeof(list), ", ", n.name[i]);
	err_setf(reterr, 0, "no function of the kernel that can be traced matches %s%s%s", s->func, lead(&n), list);
}

void near_functions(struct obj_proc *p, const char *mod_pattern, const char *pattern, struct err *reterr)
{
	struct near n = { .cnt = 0 };
	char where[300] = "", list[512] = "";
	if (*mod_pattern)
		snprintf(where, sizeof(where), " in %s", mod_pattern);
	struct obj_module *other = elsewhere(p, mod_pattern, pattern);
	for (uint32_t i = 0; i < obj_module_cnt(p) && !other; i++)
		if (pid_mod_rank(mod_pattern, obj_module_at(p, i)))
			offer_module(p, obj_module_at(p, i), pattern, &n);
	for (uint32_t i = 0; i < n.cnt; i++)
		append(list, sizeof(list), ", ", n.name[i]);
	if (other)
		snprintf(list, sizeof(list), ": %s has it", other->name);
	err_setf(reterr, 0, "no function%s of process %d matches %s%s%s%s", where, obj_proc_pid(p), pattern,
		 other ? "" : lead(&n), list,
		 n.cnt || other || obj_is_glob(pattern) ? "" : " (list-symbols lists them; those of a stripped program are called sub_ADDRESS)");
}

/* ---- names that no provider has ---- */

static const char *const provs[] = { "dtrace", "profile", "syscall", "sdt", "rawtp", "proc", "sched", "io", "ip", "tcp", "udp",
	"lockstat", "fbt", "cpc", "pid", "usdt" };

static void offer_provs(const char *wanted, struct near *n)
{
	for (size_t i = 0; i < ARRAY_CNT(provs); i++)
		offer(n, provs[i], wanted);
}

static bool is_prov(const char *name)
{
	for (size_t i = 0; i < ARRAY_CNT(provs); i++)
		if (probe_glob(name, provs[i]))
			return true;
	return !*name;
}

/* tik-10ms: the word before the rate. */
static void offer_names(const char *wanted, struct near *n)
{
	static const char *const names[] = { "BEGIN", "END", "ERROR" }, *const rates[] = { "tick", "profile" };
	const char *dash = strchr(wanted, '-');
	char word[32];
	if (!dash)
		for (size_t i = 0; i < ARRAY_CNT(names); i++)
			offer(n, names[i], wanted);
	snprintf(word, sizeof(word), "%.*s", dash ? (int)(dash - wanted) : 0, wanted);
	for (size_t i = 0; dash && i < ARRAY_CNT(rates); i++)
		offer(n, rates[i], word);
}

/* The words of bpftrace; that pid names its process. */
const char *near_meant(const struct probe_spec *s)
{
	static const char *const words[][2] = {
		{ "kprobe", "fbt::FUNCTION:entry" }, { "kretprobe", "fbt::FUNCTION:return" },
		{ "kfunc", "fbt::FUNCTION:entry" }, { "kretfunc", "fbt::FUNCTION:return" },
		{ "fentry", "fbt::FUNCTION:entry" }, { "fexit", "fbt::FUNCTION:return" },
		{ "uprobe", "pid$target:MODULE:FUNCTION:entry, with -p or -c" },
		{ "uretprobe", "pid$target:MODULE:FUNCTION:return, with -p or -c" },
		{ "tracepoint", "sdt:SYSTEM::NAME, or syscall::NAME:entry" }, { "rawtracepoint", "rawtp:::NAME" },
		{ "interval", "tick-1s" }, { "software", "cpc:::" }, { "hardware", "cpc:::" },
		{ "usdt", "PROVIDER$target:::NAME, with -p or -c" },
	};
	if (!strcmp(s->prov, "pid"))
		return "pid$target:MODULE:FUNCTION:NAME, with -p or -c, or pid123:";
	for (size_t i = 0; i < ARRAY_CNT(words); i++)
		if (!strcmp(words[i][0], s->prov) || !strcmp(words[i][0], s->mod) || !strcmp(words[i][0], s->func))
			return words[i][1];
	return NULL;
}

static bool is_whole_prov(const char *name) { return *name && !obj_is_glob(name) && is_prov(name); }

/* A colon too few: descriptions are read from the right. */
bool near_shifted(const struct probe_spec *s, struct err *reterr)
{
	if (*s->prov)
		return false;
	if (!strncmp(s->mod, "pid", 3) && isdigit((unsigned char)s->mod[3]))
		err_setf(reterr, 0, "no provider has such a probe: three parts are MODULE:FUNCTION:NAME; did you mean %s:%s:%s:entry?", s->mod,
			 s->func, s->name);
	else if (is_whole_prov(s->mod))
		err_setf(reterr, 0, "no provider has such a probe: three parts are MODULE:FUNCTION:NAME; did you mean %s::%s:%s?", s->mod,
			 s->func, s->name);
	else if (!*s->mod && is_whole_prov(s->func) && strcmp(s->name, "entry") && strcmp(s->name, "return"))
		err_setf(reterr, 0, "no provider has such a probe: two parts are FUNCTION:NAME; did you mean %s:::%s?", s->func, s->name);
	else
		return false;
	return true;
}

void near_probes(const struct probe_spec *s, struct err *reterr)
{
	struct near n = { .cnt = 0 };
	char list[512] = "";
	bool known = is_prov(s->prov);
	if (near_shifted(s, reterr))
		return;
	if (near_meant(s)) {
		err_setf(reterr, 0, "no provider has such a probe: did you mean %s?", near_meant(s));
		return;
	}
	if (!known)
		offer_provs(s->prov, &n);
	else
		offer_names(s->name, &n);
	for (uint32_t i = 0; i < n.cnt; i++)
		append(list, sizeof(list), ", ", n.name[i]);
	err_setf(reterr, 0, "%s%s%s%s", known || !n.cnt ? "no provider has such a probe" : "there is no such provider",
		 n.cnt ? ": did you mean " : "", list, n.cnt ? "?" : "");
}

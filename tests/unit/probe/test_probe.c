/* SPDX-License-Identifier: MIT */
#include "../obj/spawn.h"
#include "../tap.h"
#include "probe/probe.h"

#include <errno.h>

struct world {
	struct spawned s;
	struct obj_proc *p;
	struct probe_table *t;
	char prov[32];
	uint32_t *v, cnt; /* of the last match */
	struct err e;
	int rc;
};

static bool world_init(struct world *w, const char *file)
{
	char path[512];
	*w = (struct world){ .t = probe_table_create() };
	snprintf(path, sizeof(path), VARIANTS "/%s", file);
	if (!CHECK_MSG(spawn(&w->s, path), "%s starts", file) || !CHECK(!obj_proc_open(w->s.pid, &w->p, &w->e)))
		return false;
	snprintf(w->prov, sizeof(w->prov), "pid%d", w->s.pid);
	return true;
}

static void world_deinit(struct world *w)
{
	free(w->v);
	probe_table_destroy(w->t);
	obj_proc_close(w->p);
	spawn_end(&w->s);
}

/* How many match; negative: the error. */
static int match(struct world *w, const char *prov, const char *mod, const char *func, const char *name)
{
	struct probe_spec spec = { prov ? prov : w->prov, mod, func, name };
	free(w->v);
	w->v = NULL;
	w->cnt = 0;
	w->rc = probe_match(w->t, &spec, &w->p, &w->s.pid, 1, &w->v, &w->cnt, &w->e);
	return w->rc < 0 ? w->rc : (int)w->cnt;
}

static const struct probe *nth(const struct world *w, uint32_t i)
{
	static const struct probe none = { .prov = "", .mod = "", .func = "", .name = "" };
	return i < w->cnt ? probe_at(w->t, w->v[i]) : &none;
}

static const struct probe *first(const struct world *w) { return nth(w, 0); }

static bool has(const struct world *w, const char *func, const char *name)
{
	for (uint32_t i = 0; i < w->cnt; i++)
		if (!strcmp(nth(w, i)->func, func) && !strcmp(nth(w, i)->name, name))
			return true;
	return false;
}

static void tool_probes(void)
{
	struct world w = { .t = probe_table_create() };
	CHECK_EQ(match(&w, "dtrace", "", "", "END"), 1);
	CHECK_EQ(first(&w)->id, 2);
	CHECK_EQ(match(&w, "", "", "", "BEGIN"), 1);
	CHECK_EQ(first(&w)->id, 1);
	CHECK_STR(first(&w)->prov, "dtrace");
	CHECK_EQ(first(&w)->kind, WIRE_SITE_TOOL);
	CHECK_EQ(match(&w, "dtrace", "", "", ""), 3);
	CHECK_EQ(first(&w)->id + nth(&w, 2)->id, 1 + 3);
	CHECK_EQ(match(&w, "dtr*", "", "", "[BE]*"), 3);
	CHECK_EQ(match(&w, "dtrace", "x", "", "BEGIN"), 0);
	CHECK_EQ(match(&w, "dtrace", "", "", "begin"), 0);
	CHECK(w.e.msg[0]);
	CHECK(!probe_at(w.t, probe_cnt(w.t)));
	free(w.v);
	probe_table_destroy(w.t);
	probe_table_destroy(NULL);
}

static void timers(void)
{
	static const struct {
		const char *name;
		uint64_t ns; /* 0: no such probe */
	} t[] = {
		{ "tick-1s", 1000000000 }, { "tick-1sec", 1000000000 }, { "tick-10", 100000000 }, { "tick-10hz", 100000000 },
		{ "profile-97", 10309278 }, { "tick-5ms", 5000000 }, { "tick-5msec", 5000000 }, { "tick-300us", 300000 },
		{ "tick-300usec", 300000 }, { "tick-2m", 120000000000 }, { "tick-2min", 120000000000 },
		{ "tick-1h", 3600000000000 }, { "tick-1hour", 3600000000000 }, { "tick-1d", 86400000000000 },
		{ "tick-1day", 86400000000000 }, { "tick-500000ns", 500000 }, { "tick-500000nsec", 500000 },
		{ "profile-1s", 1000000000 }, { "tick-0", 0 }, { "tick-", 0 }, { "tick-x", 0 }, { "tick-1y", 0 },
		{ "tick--1", 0 }, { "tick-1ns", 0 }, { "tick-10000hz", 0 }, { "tock-1s", 0 }, { "tick-99999999999999999999s", 0 },
	};
	struct world w = { .t = probe_table_create() };
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		int n = match(&w, "profile", "", "", t[i].name);
		CHECK_MSG(n == (t[i].ns != 0) && first(&w)->period_ns == t[i].ns, "%s: %d, %llu ns", t[i].name, n,
			  (unsigned long long)first(&w)->period_ns);
		CHECK_MSG(n || w.e.msg[0], "%s: says why", t[i].name);
	}
	CHECK_EQ(match(&w, "", "", "", "tick-1s"), 1);
	CHECK_EQ(first(&w)->id, 4);
	CHECK(match(&w, "profile", "", "", "profile-*") == 8);
	free(w.v);
	probe_table_destroy(w.t);
}

static void entry_and_return(void)
{
	static const char *const files[] = { "pie", "nopie", "static", "minidebug", "linked" };
	for (size_t i = 0; i < ARRAY_CNT(files); i++) {
		struct world w;
		if (!world_init(&w, files[i]))
			continue;
		CHECK_EQ(match(&w, NULL, "a.out", "hidden_static", "entry"), 1);
		CHECK_EQ(first(&w)->func_addr, spawn_addr(&w.s, "hidden_static"));
		CHECK_EQ(first(&w)->kind, WIRE_SITE_ENTRY);
		CHECK_EQ(first(&w)->pid, w.s.pid);
		CHECK_STR(first(&w)->mod, files[i]);
		CHECK(first(&w)->func_bytes > 3 && first(&w)->func_bytes < 64);
		CHECK_EQ(match(&w, NULL, files[i], "hidden_static", "return"), 1);
		CHECK_EQ(first(&w)->kind, WIRE_SITE_RETURN);
		CHECK_EQ(match(&w, NULL, "", "hidden_st?tic", "entry"), 1);
		CHECK_EQ(match(&w, NULL, VARIANTS "/*", "hidden_static", "entry"), 1);
		world_deinit(&w);
	}
}

static void offsets(void)
{
	struct world w;
	if (!world_init(&w, "pie"))
		return;
	int all = match(&w, NULL, "a.out", "realigned", "*");
	CHECK(all > 6 && has(&w, "realigned", "entry") && has(&w, "realigned", "return") && has(&w, "realigned", "0"));
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", ""), all);
	uint32_t last = 0;
	for (uint32_t i = 0; i < w.cnt; i++)
		last = nth(&w, i)->offset > last ? nth(&w, i)->offset : last;
	char name[32];
	snprintf(name, sizeof(name), "%x", last);
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", name), 1);
	CHECK_EQ(first(&w)->offset, last);
	CHECK_EQ(first(&w)->kind, WIRE_SITE_OFFSET);
	CHECK_STR(first(&w)->name, name);
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", "ffff"), -ERANGE);
	CHECK(strstr(w.e.msg, "outside"));
	CHECK_EQ(match(&w, NULL, "a.out", "bare_label", "1"), -EINVAL);
	CHECK(strstr(w.e.msg, "inside"));
	CHECK_EQ(match(&w, NULL, "a.out", "bare_label", "5"), 1);
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", "beginning"), -EINVAL);
	CHECK_EQ(match(&w, NULL, "a.out", "*", "ffff"), 0);
	world_deinit(&w);
}

static void absolute_addresses(void)
{
	struct world w;
	char name[32];
	if (!world_init(&w, "pie"))
		return;
	unsigned long f = spawn_addr(&w.s, "realigned"), bias = 0;
	for (uint32_t i = 0; i < obj_module_cnt(w.p); i++)
		bias = obj_module_at(w.p, i)->is_exe ? obj_module_at(w.p, i)->bias : bias;
	for (int in_file = 0; in_file < 2; in_file++) {
		snprintf(name, sizeof(name), "%lx", in_file ? f - bias : f);
		CHECK_EQ(match(&w, NULL, "a.out", "-", name), 1);
		CHECK_EQ(first(&w)->func_addr + first(&w)->offset, f);
		CHECK_STR(first(&w)->func, "-");
		CHECK_STR(first(&w)->name, name);
	}
	CHECK_EQ(match(&w, NULL, "libc.so.6", "-", name), -ELIBBAD);
	CHECK_EQ(match(&w, NULL, "a.out", "-", "entry"), -EINVAL);
	CHECK_EQ(match(&w, NULL, "a.out", "-", "3"), -ERANGE);
	world_deinit(&w);
}

static void module_names(void)
{
	static const char *const names[] = { "libc.so.6", "libc", "libc.so", "libc.so.1", "libc.*", "libc.so*", "*libc.so.6", "lib[c].so" };
	struct world w;
	if (!world_init(&w, "pie"))
		return;
	if (match(&w, NULL, "libc.so.6", "malloc", "entry") != 1) {
		world_deinit(&w);
		SKIP("the C library is not glibc's");
	}
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		CHECK_MSG(match(&w, NULL, names[i], "malloc", "entry") == 1, "%s", names[i]);
		CHECK_STR(first(&w)->mod, "libc.so.6");
	}
	CHECK_EQ(match(&w, NULL, "lib", "malloc", "entry"), 0);
	CHECK_EQ(match(&w, NULL, "libd", "malloc", "entry"), 0);
	CHECK(strstr(w.e.msg, "libc.so.6"));
	world_deinit(&w);
}

static void aliases(void)
{
	struct world w;
	if (!world_init(&w, "pie"))
		return;
	CHECK_EQ(match(&w, NULL, "a.out", "*plain_global*", "entry"), 1);
	CHECK_STR(first(&w)->func, "plain_global");
	CHECK_EQ(match(&w, NULL, "a.out", "plain_global_too", "entry"), 1);
	CHECK_STR(first(&w)->func, "plain_global_too");
	CHECK_EQ(match(&w, NULL, "a.out", "_plain_global", "entry"), 1);
	CHECK_STR(first(&w)->func, "plain_global");
	CHECK_EQ(match(&w, NULL, "a.out", "plain_global_*", "entry"), 1);
	CHECK_STR(first(&w)->func, "plain_global_too");
	world_deinit(&w);
}

static void each_once(void)
{
	struct world w;
	if (!world_init(&w, "pie"))
		return;
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", "entry"), 1);
	uint32_t id = first(&w)->id, cnt = probe_cnt(w.t);
	const char *func = first(&w)->func;
	int all = match(&w, NULL, "a.out", "", "entry");
	CHECK(all > 5);
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", "entry"), 1);
	CHECK(first(&w)->id == id && first(&w)->func == func);
	CHECK_EQ(probe_cnt(w.t), cnt + (uint32_t)all - 1);
	match(&w, NULL, "", "", "entry");
	for (uint32_t i = 0; i < probe_cnt(w.t); i++)
		if (!CHECK(probe_at(w.t, i)->id % 100000 == i + 1))
			break;
	for (uint32_t i = 1; i < w.cnt; i++)
		if (!CHECK(w.v[i - 1] < w.v[i]))
			break;
	world_deinit(&w);
}

static void ifuncs_are_followed(void)
{
	static const char *const files[] = { "pie", "nopie", "static", "static-pie" };
	for (size_t i = 0; i < ARRAY_CNT(files); i++) {
		struct world w;
		if (!world_init(&w, files[i]))
			continue;
		CHECK_EQ(match(&w, NULL, "a.out", "chosen", "entry"), 1);
		CHECK_EQ(first(&w)->func_addr, spawn_addr(&w.s, "chosen_impl"));
		CHECK_STR(first(&w)->func, "chosen");
		CHECK(first(&w)->func_bytes > 2 && first(&w)->func_bytes < 32);
		world_deinit(&w);
	}
}

static void without_symbols(void)
{
	struct world w;
	char name[64];
	if (!world_init(&w, "stripped"))
		return;
	struct obj_module *exe = NULL;
	for (uint32_t i = 0; i < obj_module_cnt(w.p); i++)
		exe = obj_module_at(w.p, i)->is_exe ? obj_module_at(w.p, i) : exe;
	snprintf(name, sizeof(name), "sub_%lx", (unsigned long)(spawn_addr(&w.s, "hidden_static") - exe->bias));
	CHECK_EQ(match(&w, NULL, "a.out", "hidden_static", "entry"), 0);
	CHECK(match(&w, NULL, "a.out", "", "entry") > 3 && has(&w, name, "entry"));
	CHECK_EQ(match(&w, NULL, "a.out", name, "return"), 1);
	CHECK_EQ(first(&w)->func_addr, spawn_addr(&w.s, "hidden_static"));
	world_deinit(&w);
}

static void no_stubs_and_fragments(void)
{
	struct world w;
	if (!world_init(&w, "pie"))
		return;
	match(&w, NULL, "", "", "entry");
	for (uint32_t i = 0; i < w.cnt; i++) {
		const struct probe *p = nth(&w, i);
		const struct obj_range *r = obj_range_at(w.p, p->module, p->func_addr);
		if (!CHECK_MSG(!strstr(p->func, ".cold") && (!r || r->kind != OBJ_RANGE_PLT) && !p->module->is_vdso, "%s", p->func))
			break;
	}
	world_deinit(&w);
}

static void what_is_missing_is_said(void)
{
	struct world w;
	if (!world_init(&w, "pie"))
		return;
	CHECK_EQ(match(&w, NULL, "a.out", "hiden_static", "entry"), 0);
	CHECK_MSG(strstr(w.e.msg, "hidden_static"), "%s", w.e.msg);
	CHECK_EQ(match(&w, NULL, "a.out", "Plain_Global", "entry"), 0);
	CHECK_MSG(strstr(w.e.msg, "plain_global"), "%s", w.e.msg);
	CHECK_EQ(match(&w, NULL, "libnone", "f", "entry"), 0);
	CHECK_MSG(strstr(w.e.msg, "loaded are pie"), "%s", w.e.msg);
	CHECK_EQ(match(&w, NULL, "pie", "malloc", "entry"), 0);
	CHECK_MSG(strstr(w.e.msg, "has it"), "%s", w.e.msg);
	CHECK_EQ(match(&w, "", "", "realigned", "entry"), 0);
	CHECK_MSG(strstr(w.e.msg, "pid$target"), "%s", w.e.msg);
	CHECK_EQ(match(&w, "pid0", "", "", "entry"), -ESRCH);
	CHECK_EQ(match(&w, "pidgin", "", "", "entry"), 0);
	CHECK_EQ(match(&w, NULL, "a.out", "realigned", "entry"), 1);
	CHECK(!w.e.msg[0]);
	world_deinit(&w);
}

static void provider_globs(void)
{
	struct world w;
	char prov[32];
	if (!world_init(&w, "pie"))
		return;
	snprintf(prov, sizeof(prov), "p*d%d", w.s.pid);
	CHECK_EQ(match(&w, prov, "", "realigned", "entry"), 1);
	CHECK_EQ(match(&w, "p*d0", "", "realigned", "entry"), 0);
	CHECK(match(&w, "*", "", "", "") >= 16); /* and what the kernel has */
	world_deinit(&w);
}

TAP_MAIN(TEST(tool_probes), TEST(timers), TEST(entry_and_return), TEST(offsets), TEST(absolute_addresses), TEST(module_names),
	 TEST(aliases), TEST(each_once), TEST(ifuncs_are_followed), TEST(without_symbols), TEST(no_stubs_and_fragments),
	 TEST(what_is_missing_is_said), TEST(provider_globs))

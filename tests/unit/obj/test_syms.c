/* SPDX-License-Identifier: MIT */
/* Symbols, from each place where they can stand; the programs themselves, nm and dladdr are the oracles. */
#include "../tap.h"
#include "obj/obj.h"
#include "spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

static struct obj_proc *open_proc(pid_t pid)
{
	struct obj_proc *p = NULL;
	struct err e;
	int rc = obj_proc_open(pid, &p, &e);
	CHECK_MSG(!rc, "open: %s", rc ? e.msg : "");
	return p;
}

static struct obj_module *exe_of(struct obj_proc *p)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++)
		if (obj_module_at(p, i)->is_exe)
			return obj_module_at(p, i);
	return NULL;
}

static struct obj_module *by_name(struct obj_proc *p, const char *name)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++)
		if (!strcmp(obj_module_at(p, i)->name, name))
			return obj_module_at(p, i);
	return NULL;
}

static const struct obj_sym *sym_named(struct obj_proc *p, struct obj_module *m, const char *name)
{
	const struct obj_sym *s;
	uint32_t n;
	if (obj_module_syms(p, m, &s, &n, NULL))
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(s[i].name, name))
			return &s[i];
	return NULL;
}

static void check_order(struct obj_proc *p, struct obj_module *m)
{
	const struct obj_sym *s;
	uint32_t n, bad = 0;
	CHECK(!obj_module_syms(p, m, &s, &n, NULL));
	for (uint32_t i = 0; i < n; i++)
		bad += !s[i].bytes || !*s[i].name || (i && s[i - 1].addr > s[i].addr);
	CHECK_MSG(!bad, "%u symbols of %s are out of order or empty", bad, m->name);
}

static void check_names(const char *file, struct obj_proc *p, const struct spawned *s)
{
	static const char *const names[] = { "hidden_static", "plain_global", "realigned" };
	struct obj_module *m = exe_of(p);
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		const struct obj_sym *sym = sym_named(p, m, names[i]), *at = NULL;
		struct obj_module *in;
		unsigned long addr = spawn_addr(s, names[i]);
		CHECK_MSG(sym && sym->addr == addr && sym->is_func, "%s: %s", file, names[i]);
		CHECK_MSG(!obj_symbolize(p, addr + 1, &at, &in) && !strcmp(at->name, names[i]) && in == m,
			  "%s: %lx is in %s, not %s", file, addr + 1, names[i], at ? at->name : "nothing");
	}
	check_order(p, m);
}

static void check_file(const char *file)
{
	char path[512];
	struct spawned s;
	snprintf(path, sizeof(path), VARIANTS "/%s", file);
	if (access(path, X_OK))
		return;
	if (!CHECK_MSG(spawn(&s, path), "%s starts", file))
		return;
	struct obj_proc *p = open_proc(s.pid);
	if (p)
		check_names(file, p, &s);
	obj_proc_close(p);
	spawn_end(&s);
}

static void wherever_they_stand(void)
{
	static const char *const t[] = { "pie", "nopie", "static", "static-pie", "noseparate", "linked", "apart/linked",
		"minidebug", "musl", "musl-static" };
	for (size_t i = 0; i < ARRAY_CNT(t); i++)
		check_file(t[i]);
}

static bool copy(const char *from, const char *to)
{
	char cmd[1200];
	snprintf(cmd, sizeof(cmd), "cp '%s' '%s'", from, to);
	return !system(cmd);
}

static void deleted_and_replaced_files(void)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/dyntrace-obj-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", getpid());
	for (int replace = 0; replace < 2; replace++) {
		struct spawned s;
		CHECK(copy(VARIANTS "/pie", path));
		CHECK(spawn(&s, path));
		unlink(path);
		if (replace)
			CHECK(copy(VARIANTS "/nopie", path));
		struct obj_proc *p = open_proc(s.pid);
		CHECK(p && !strcmp(exe_of(p)->path, path));
		if (p)
			check_names(replace ? "replaced" : "deleted", p, &s);
		obj_proc_close(p);
		spawn_end(&s);
		unlink(path);
	}
}

static void sizes_are_completed(void)
{
	struct spawned s;
	CHECK(spawn(&s, VARIANTS "/pie"));
	struct obj_proc *p = open_proc(s.pid);
	const struct obj_sym *sym = sym_named(p, exe_of(p), "sizeless"), *label = sym_named(p, exe_of(p), "bare_label");
	CHECK(sym && sym->addr == spawn_addr(&s, "sizeless"));
	CHECK(sym && sym->addr + sym->bytes == spawn_addr(&s, "after_sizeless"));
	CHECK(label && !label->is_func && label->addr + label->bytes == spawn_addr(&s, "sizeless"));
	obj_proc_close(p);
	spawn_end(&s);
}

static void stripped_functions_have_ranges(void)
{
	static const char *const t[] = { "stripped", "stripped-static" };
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		char path[512];
		struct spawned s;
		snprintf(path, sizeof(path), VARIANTS "/%s", t[i]);
		CHECK(spawn(&s, path));
		struct obj_proc *p = open_proc(s.pid);
		const struct obj_range *r = obj_range_at(p, exe_of(p), spawn_addr(&s, "hidden_static"));
		CHECK(r && r->start == spawn_addr(&s, "hidden_static") && r->kind == OBJ_RANGE_FUNC && r->has_fde && !r->has_sym);
		const struct obj_range *all;
		uint32_t cnt;
		CHECK(!obj_module_ranges(p, exe_of(p), &all, &cnt, NULL) && cnt > 3);
		for (uint32_t k = 1; k < cnt; k++)
			if (!CHECK(all[k - 1].start < all[k].start))
				break;
		obj_proc_close(p);
		spawn_end(&s);
	}
}

static void data_is_found_too(void)
{
	struct spawned s;
	uint64_t addr, bytes;
	CHECK(spawn(&s, VARIANTS "/pie"));
	struct obj_proc *p = open_proc(s.pid);
	CHECK(!obj_module_find(p, exe_of(p), "plain_data", &addr, &bytes));
	CHECK_EQ(addr, spawn_addr(&s, "plain_data"));
	CHECK_EQ(bytes, 16);
	CHECK_EQ(obj_module_find(p, exe_of(p), "no_such_thing", &addr, &bytes), -ENOENT);
	obj_proc_close(p);
	spawn_end(&s);
}

static void ifuncs(void)
{
	static const char *const t[] = { "pie", "nopie", "static", "static-pie" };
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		char path[512];
		struct spawned s;
		snprintf(path, sizeof(path), VARIANTS "/%s", t[i]);
		CHECK(spawn(&s, path));
		struct obj_proc *p = open_proc(s.pid);
		const struct obj_sym *sym = sym_named(p, exe_of(p), "chosen");
		uint64_t addr = 0;
		CHECK(sym && sym->is_ifunc);
		CHECK_MSG(sym && !obj_ifunc_target(p, exe_of(p), sym, &addr), "%s: resolved", t[i]);
		CHECK_EQ(addr, spawn_addr(&s, "chosen_impl"));
		obj_proc_close(p);
		spawn_end(&s);
	}
}

static void libc_ifuncs_are_what_the_loader_says(void)
{
	static const char *const names[] = { "memcpy", "memset", "strlen", "strspn", "wcsnlen" };
	struct obj_proc *p = open_proc(getpid());
	struct obj_module *libc = by_name(p, "libc.so.6");
	void *h = dlopen("libc.so.6", RTLD_NOLOAD | RTLD_LAZY);
	if (!libc || !h) {
		obj_proc_close(p);
		SKIP("the C library is not glibc's");
	}
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		const struct obj_sym *s = sym_named(p, libc, names[i]);
		uint64_t addr = 0;
		while (s && !s->is_ifunc && !strcmp(s[1].name, names[i]))
			s++;
		if (!s || !s->is_ifunc)
			continue;
		CHECK(!obj_ifunc_target(p, libc, s, &addr));
		CHECK_EQ(addr, (uint64_t)(uintptr_t)dlsym(h, names[i]));
	}
	dlclose(h);
	obj_proc_close(p);
}

/* `nm -D` of the C library: each function at its place. */
static void all_that_nm_lists(void)
{
	struct obj_proc *p = open_proc(getpid());
	struct obj_module *m = by_name(p, "libc.so.6");
	if (!m) {
		obj_proc_close(p);
		SKIP("no libc.so.6");
	}
	char cmd[600], line[512], type, name[256];
	unsigned long addr;
	uint32_t seen = 0, missing = 0;
	snprintf(cmd, sizeof(cmd), "nm -D --defined-only --without-symbol-versions '%s'", m->path);
	FILE *f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %c %255s", &addr, &type, name) != 3 || !strchr("TWi", type))
			continue;
		const struct obj_sym *s;
		struct obj_module *in;
		seen++;
		if (obj_symbolize(p, addr + m->bias, &s, &in) || s->addr != addr + m->bias)
			missing++;
	}
	if (f)
		pclose(f);
	if (seen < 100) {
		obj_proc_close(p);
		SKIP("no nm");
	}
	CHECK_EQ(missing, 0);
	check_order(p, m);
	obj_proc_close(p);
}

static void dladdr_agrees(void)
{
	struct obj_proc *p = open_proc(getpid());
	void *const t[] = { dlsym(RTLD_DEFAULT, "malloc"), dlsym(RTLD_DEFAULT, "read"), dlsym(RTLD_DEFAULT, "printf"),
		dlsym(RTLD_DEFAULT, "qsort") };
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		Dl_info di;
		const struct obj_sym *s = NULL;
		struct obj_module *m = NULL;
		CHECK(dladdr(t[i], &di) && !obj_symbolize(p, (uint64_t)(uintptr_t)t[i] + 3, &s, &m));
		CHECK(s && s->addr == (uint64_t)(uintptr_t)di.dli_saddr);
		CHECK(m && m->bias == (uint64_t)(uintptr_t)di.dli_fbase);
	}
	const struct obj_sym *s = NULL;
	struct obj_module *m;
	CHECK(!obj_symbolize(p, (uint64_t)(uintptr_t)t[1], &s, &m) && !strcmp(s->name, "read"));
	CHECK_EQ(obj_symbolize(p, 0x10, &s, &m), -ENOENT);
	CHECK(!m);
	obj_proc_close(p);
}

static void landing_pads(void)
{
	void *h = dlopen(VARIANTS "/libthrows.so", RTLD_NOW);
	struct obj_proc *p = open_proc(getpid());
	uint64_t f = h ? (uint64_t)(uintptr_t)dlsym(h, "throws_entry") : 0, pads[16];
	uint64_t none = h ? (uint64_t)(uintptr_t)dlsym(h, "never_throws") : 0;
	struct obj_module *m = obj_module_by_addr(p, f);
	if (CHECK(f && m)) {
		int n = obj_landing_pads(p, m, f, pads, 16);
		CHECK(n >= 1 && n <= 16);
		const struct obj_sym *s;
		struct obj_module *in;
		for (int i = 0; i < n; i++)
			CHECK_MSG(!obj_symbolize(p, pads[i], &s, &in) && !strncmp(s->name, "throws_entry", 12) && (!i || pads[i - 1] < pads[i]),
				  "pad %d at %lx", i, (unsigned long)pads[i]);
		CHECK_EQ(obj_landing_pads(p, m, none, pads, 16), 0);
		CHECK(obj_landing_pads(p, m, f, pads, 0) == n);
	}
	obj_proc_close(p);
	if (h)
		dlclose(h);
}

TAP_MAIN(TEST(wherever_they_stand), TEST(deleted_and_replaced_files), TEST(sizes_are_completed),
	 TEST(stripped_functions_have_ranges), TEST(data_is_found_too), TEST(ifuncs),
	 TEST(libc_ifuncs_are_what_the_loader_says), TEST(all_that_nm_lists), TEST(dladdr_agrees), TEST(landing_pads))

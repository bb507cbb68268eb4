/* SPDX-License-Identifier: MIT */
/* Processes and modules; the dynamic loader is the oracle. */
#include "../tap.h"
#include "obj/obj.h"
#include "spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>

static struct obj_module *by_name(struct obj_proc *p, const char *name)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++)
		if (obj_module_at(p, i)->end && !strcmp(obj_module_at(p, i)->name, name))
			return obj_module_at(p, i);
	return NULL;
}

static struct obj_proc *open_proc(pid_t pid)
{
	struct obj_proc *p = NULL;
	struct err e;
	int rc = obj_proc_open(pid, &p, &e);
	CHECK_MSG(!rc, "open: %s", rc ? e.msg : "");
	return p;
}

static int on_loaded(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct obj_proc *p = arg;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		struct obj_module *m = obj_module_by_addr(p, info->dlpi_addr + ph->p_vaddr);
		CHECK_MSG(m && m->bias == info->dlpi_addr, "%s is at %lx", info->dlpi_name, (unsigned long)info->dlpi_addr);
		CHECK(m && m->text_start <= info->dlpi_addr + ph->p_vaddr &&
		      m->text_end >= info->dlpi_addr + ph->p_vaddr + ph->p_memsz);
	}
	return 0;
}

static void modules_are_the_loaders(void)
{
	struct obj_proc *p = open_proc(getpid());
	dl_iterate_phdr(on_loaded, p);
	uint32_t exe = 0, loader = 0, vdso = 0;
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		exe += obj_module_at(p, i)->is_exe;
		loader += obj_module_at(p, i)->is_loader;
		vdso += obj_module_at(p, i)->is_vdso;
	}
	CHECK_EQ(exe, 1);
	CHECK_EQ(loader, 1);
	CHECK(vdso <= 1);
	CHECK(obj_proc_is_64bit(p));
	CHECK_EQ(obj_proc_pid(p), getpid());
	CHECK(!obj_module_by_addr(p, 0x10));
	CHECK(!obj_module_by_addr(p, (uint64_t)(uintptr_t)&p)); /* the stack */
	obj_proc_close(p);
}

static void refresh_keeps_modules(void)
{
	struct obj_proc *p = open_proc(getpid());
	struct obj_module *libc = by_name(p, "libc.so.6");
	uint32_t cnt = obj_module_cnt(p);
	void *h = dlopen(VARIANTS "/libthrows.so", RTLD_NOW);
	CHECK(h != NULL);
	CHECK(!obj_proc_refresh(p, NULL));
	struct obj_module *m = by_name(p, "libthrows.so");
	CHECK(m && by_name(p, "libc.so.6") == libc && obj_module_cnt(p) > cnt);
	const struct obj_sym *s;
	uint32_t n;
	if (m)
		CHECK(!obj_module_syms(p, m, &s, &n, NULL) && n);
	if (h)
		dlclose(h);
	CHECK(!obj_proc_refresh(p, NULL));
	CHECK(!by_name(p, "libthrows.so") && by_name(p, "libc.so.6") == libc);
	CHECK(m && !m->end && !m->start);
	obj_proc_close(p);
}

static void check_variant(const char *name)
{
	char path[512];
	struct spawned s;
	snprintf(path, sizeof(path), VARIANTS "/%s", name);
	if (access(path, X_OK))
		return;
	if (!CHECK_MSG(spawn(&s, path), "%s starts", name))
		return;
	struct obj_proc *p = open_proc(s.pid);
	struct obj_module *m = p ? by_name(p, name) : NULL;
	if (CHECK_MSG(m != NULL, "%s is a module", name)) {
		CHECK_MSG(m->is_exe, "%s is the executable", name);
		CHECK_STR(m->path, path);
		unsigned long f = spawn_addr(&s, "plain_global"), d = spawn_addr(&s, "plain_data");
		CHECK_MSG(f >= m->text_start && f < m->text_end, "%s: text", name);
		CHECK_MSG(d >= m->start && d < m->end, "%s: data", name);
		CHECK_MSG(obj_module_by_addr(p, f) == m, "%s by address", name);
		uint8_t mem[32], file[32];
		CHECK(!obj_proc_read(p, f, mem, sizeof(mem)) && !obj_module_text(p, m, f, file, sizeof(file)));
		CHECK_MSG(!memcmp(mem, file, sizeof(mem)), "%s: text as in the file", name);
	}
	obj_proc_close(p);
	spawn_end(&s);
}

static void executables_of_all_kinds(void)
{
	static const char *const t[] = { "pie", "nopie", "static", "static-pie", "noseparate", "stripped", "musl", "musl-static" };
	for (size_t i = 0; i < ARRAY_CNT(t); i++)
		check_variant(t[i]);
}

static void process_info(void)
{
	struct obj_proc_info info;
	struct err e;
	CHECK(!obj_proc_info(getpid(), &info, &e));
	CHECK_EQ(info.pid, getpid());
	CHECK_EQ(info.ppid, getppid());
	CHECK_EQ(info.uid, getuid());
	CHECK_EQ(info.gid, getgid());
	CHECK_EQ(info.threads, 1);
	CHECK_EQ(info.state, 'R');
	CHECK(!strncmp(info.comm, program_invocation_short_name, 15));
	CHECK_EQ(obj_proc_info(0x3fffffff, &info, &e), -ESRCH);
}

static void what_cannot_be_opened(void)
{
	struct obj_proc *p;
	struct err e;
	CHECK_EQ(obj_proc_open(0x3fffffff, &p, &e), -ESRCH);
	CHECK(strstr(e.msg, "no process"));
	pid_t zombie = fork();
	if (!zombie)
		_exit(0);
	siginfo_t si;
	waitid(P_PID, (id_t)zombie, &si, WEXITED | WNOWAIT);
	CHECK(obj_proc_open(zombie, &p, &e) < 0);
	waitpid(zombie, NULL, 0);
}

static void maps_are_complete(void)
{
	struct obj_proc *p = open_proc(getpid());
	bool stack = false;
	for (uint32_t i = 0; i < obj_map_cnt(p); i++) {
		const struct obj_map *m = obj_map_at(p, i);
		CHECK(m->start < m->end && (!i || obj_map_at(p, i - 1)->end <= m->start));
		stack |= (uint64_t)(uintptr_t)&p >= m->start && (uint64_t)(uintptr_t)&p < m->end && !strcmp(m->path, "[stack]");
	}
	CHECK(stack);
	obj_proc_close(p);
}

TAP_MAIN(TEST(modules_are_the_loaders), TEST(refresh_keeps_modules), TEST(executables_of_all_kinds), TEST(process_info),
	 TEST(what_cannot_be_opened), TEST(maps_are_complete))

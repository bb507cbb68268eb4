/* SPDX-License-Identifier: MIT */
/*
 * A program that forbids itself system calls (seccomp) while it is traced would
 * be killed by the first that a probe makes (ADR 2).  Probes of ours stand where
 * a libc is asked for such a filter; the process counts as filtered from then on, before
 * the filter is there.  Who makes that system call by itself is noticed by looking.
 * Others stand where a libc begins a child that looks like its parent (rt/vfork.c).
 */
#include "session/arm_int.h"
#include "rt/rt.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define GUARDS_MAX 64
#define VFORK "vfork"
#define CLONE "clone"
#define RAW "raw seccomp"
#define LOOK_NS 100000000ull
#define LOOK_THREADS 64

static bool has_guard(const struct target *t, uint64_t addr)
{
	for (uint32_t i = 0; i < t->guard_cnt; i++)
		if (t->guards[i].func_addr == addr && t->guards[i].module->end)
			return true;
	return false;
}

/* A static program is its own libc; musl's is the loader. */
static bool may_hold_libc(const struct obj_module *m, bool is_static)
{
	return (m->is_exe && is_static) || !strncmp(m->name, "libc.", 5) || !strncmp(m->name, "libc-", 5) ||
	       !strncmp(m->name, "ld-musl", 7);
}

static uint64_t bytes_at(struct target *t, uint64_t addr)
{
	const struct obj_sym *sym;
	struct obj_module *mod;
	return obj_symbolize(t->obj, addr, &sym, &mod) ? 0 : sym->addr + sym->bytes - addr;
}

static bool note_guard_at(struct target *t, struct obj_module *m, uint64_t addr, uint64_t bytes, const char *func, const char *what)
{
	if (!bytes || addr < m->text_start || addr >= m->text_end || has_guard(t, addr))
		return false;
	if (!t->guards && !(t->guards = calloc(GUARDS_MAX, sizeof(*t->guards))))
		return false;
	if (t->guard_cnt == GUARDS_MAX)
		return false;
	t->guards[t->guard_cnt++] = (struct probe){ .prov = "dyntrace", .mod = "", .func = func, .name = what,
		.kind = WIRE_SITE_GUARD, .module = m, .func_addr = addr, .func_bytes = bytes };
	return true;
}

static bool note_guard(struct target *t, struct obj_module *m, const char *name, const char *what)
{
	uint64_t addr, bytes;
	if (obj_module_find(t->obj, m, name, &addr, &bytes))
		return false;
	if (!bytes) /* of an assembler that was not told */
		bytes = bytes_at(t, addr);
	return note_guard_at(t, m, addr, bytes, name, what);
}

/* What begins threads by itself may have begun to, and be entered no more: then the fs base is always asked for (rt/base.c).  Not
 * what has a libc in it, which does so, too. */
static void note_raw(void *arg, struct obj_module *m, uint64_t addr, uint64_t bytes, bool is_thread)
{
	struct target *t = arg;
	if (!is_thread)
		note_guard_at(t, m, addr, bytes, RAW, RAW);
	else if (!obj_module_find(t->obj, m, "clone", &addr, &bytes) || !strncmp(m->name, "libpthread", 10))
		return;
	else
		target_ask_always(t);
}

/* Modules of others than the libc, which has names for it. */
static void find_raw(struct target *t, bool is_static)
{
	static const char *const go[] = { "internal/runtime/syscall.Syscall6", "runtime/internal/syscall.Syscall6",
					  "internal/runtime/syscall/linux.Syscall6" };
	for (; t->guard_scanned < obj_module_cnt(t->obj); t->guard_scanned++) {
		struct obj_module *m = obj_module_at(t->obj, t->guard_scanned);
		if (!m->end || m->is_vdso || m->is_loader || (may_hold_libc(m, is_static) && !m->is_exe))
			continue;
		if (!obj_module_is_go(t->obj, m))
			guard_scan(t, m, note_raw, t);
		for (uint32_t i = 0; i < ARRAY_CNT(go) && obj_module_is_go(t->obj, m); i++)
			note_guard(t, m, go[i], "seccomp");
	}
}

bool guard_is_raw(const struct probe *p)
{
	return !strcmp(p->name, RAW);
}

/* Whether a program asks which process this is: then children that look like their parent matter. */
static bool asks_who(const struct ir_image *im)
{
	for (uint32_t i = 0; i < im->prog_cnt; i++)
		for (uint32_t k = 0; k < im->progs[i].insn_cnt; k++) {
			const struct ir_insn *in = &im->progs[i].insns[k];
			if (in->op == IR_OP_ENV && (in->imm == WIRE_ENV_PID || in->imm == WIRE_ENV_TID || in->imm == WIRE_ENV_PPID))
				return true;
			if (in->op == IR_OP_CALL && in->imm == IR_HELPER_progenyof)
				return true;
		}
	return false;
}

struct session_probe guard_request(const struct target *t, uint32_t i)
{
	static const uint32_t vfork_helper[] = { IR_HELPER_hook_vfork };
	static const uint32_t clone_helper[] = { IR_HELPER_hook_clone };
	static const uint32_t raw_helper[] = { IR_HELPER_hook_raw };
	const char *name = t->guards[i].name;
	const uint32_t *helper = !strcmp(name, VFORK) ? vfork_helper : !strcmp(name, CLONE) ? clone_helper :
				 guard_is_raw(&t->guards[i]) ? raw_helper : NULL;
	return (struct session_probe){ .probe = &t->guards[i], .proc = t->proc, .progs = helper, .prog_cnt = helper != NULL };
}

uint32_t guards_find(struct target *t)
{
	static const char *const names[] = { "prctl", "syscall", "arch_prctl" }, *const vforks[] = { "vfork", "posix_spawn", "posix_spawnp" };
	bool who = asks_who(t->s->image);
	uint32_t first = t->guard_cnt;
	bool own = procinfo_is_static(t);
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		for (uint32_t k = 0; k < ARRAY_CNT(names) && m->end && !m->is_vdso && may_hold_libc(m, own); k++)
			note_guard(t, m, names[k], "seccomp");
		if (m->end && !m->is_vdso && may_hold_libc(m, own))
			note_guard(t, m, "clone", CLONE);
		for (uint32_t k = 0; k < ARRAY_CNT(vforks) && who && m->end && !m->is_vdso && may_hold_libc(m, own); k++)
			note_guard(t, m, vforks[k], VFORK);
	}
	find_raw(t, own);
	return first;
}

/* What a thread may not do: WIRE_PROC_*. */
static uint32_t thread_is_filtered(pid_t pid, const char *tid)
{
	char path[320], *line = NULL;
	size_t cap = 0;
	int mode = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, tid);
	FILE *f = fopen(path, "re");
	while (f && getline(&line, &cap, f) > 0)
		if (!strncmp(line, "Seccomp:", 8)) {
			mode = atoi(line + 8);
			break;
		}
	free(line);
	if (f)
		fclose(f);
	return !mode ? 0 : mode == 1 ? WIRE_PROC_NO_SYSCALL | WIRE_PROC_NO_TSC : WIRE_PROC_NO_SYSCALL;
}

void guard_look(struct target *t)
{
	struct wire_proc *proc = target_proc(t);
	char path[64];
	uint32_t n = 0, forbidden = 0;
	STORE_RELAXED(&proc->coarse_tsc, rt_now_tsc());
	if ((~LOAD_RELAXED(&proc->flags) & (WIRE_PROC_NO_SYSCALL | WIRE_PROC_NO_TSC)) == 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && n < LOOK_THREADS && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		forbidden |= thread_is_filtered(t->pid, e->d_name);
	}
	if (forbidden)
		__atomic_fetch_or(&proc->flags, forbidden, __ATOMIC_SEQ_CST);
	if (d)
		closedir(d);
}

void guard_look_at_times(struct target *t)
{
	uint64_t now = host_now_ns();
	if (LOAD_RELAXED(&target_proc(t)->flags) & WIRE_PROC_NO_TSC)
		STORE_RELAXED(&target_proc(t)->coarse_tsc, rt_now_tsc());
	if (now - t->guard_looked_ns < LOOK_NS)
		return;
	t->guard_looked_ns = now;
	guard_look(t);
}

/* SPDX-License-Identifier: MIT */
/* What generated code has to know of a process: ids, and where its libc keeps things. */
#include "session/session_int.h"
#include "rt/rt.h"

#include <cpuid.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCB_LOOK 1024          /* bytes of a thread block that are searched */
#define MUSL_TID_OFF 0x30
#define FSGSBASE_HWCAP2 2      /* HWCAP2_FSGSBASE, arch/x86/include/uapi/asm/hwcap2.h */

static uint64_t auxv_of(pid_t pid, uint64_t type)
{
	char path[64];
	uint64_t pair[2];
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (read(fd, pair, sizeof(pair)) == sizeof(pair) && pair[0] != AT_NULL)
		if (pair[0] == type) {
			close(fd);
			return pair[1];
		}
	close(fd);
	return 0;
}

static bool is_libc(const struct obj_module *m)
{
	return !strncmp(m->name, "libc.", 5) || !strncmp(m->name, "libc-", 5) || !strncmp(m->name, "libpthread", 10);
}

/* Of the C library; it may have any name. */
static struct obj_module *find_symbol(struct target *t, const char *name, uint64_t *ret_addr, uint64_t *ret_bytes)
{
	for (int others = 0; others < 2; others++)
		for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
			struct obj_module *m = obj_module_at(t->obj, i);
			if (m->end && !m->is_vdso && is_libc(m) == !others && !obj_module_find(t->obj, m, name, ret_addr, ret_bytes))
				return m;
		}
	return NULL;
}

static bool tid_at(struct target *t, uint64_t fs_base, uint32_t off, pid_t tid)
{
	uint32_t have;
	return !target_read(t, fs_base + off, &have, sizeof(have)) && have == (uint32_t)tid;
}

/* Every thread's block must hold its own id there; threads without a block do not count. @none: what is to be said of no blocks. */
static bool fits_all(struct target *t, uint32_t off, bool none)
{
	bool fits = none;
	for (uint32_t i = 0; i < inject_thread_cnt(t->inj); i++) {
		struct user_regs_struct regs;
		if (inject_get_regs(t->inj, i, &regs, NULL) || !regs.fs_base)
			continue;
		if (!tid_at(t, regs.fs_base, off, inject_thread_tid(t->inj, i)))
			return false;
		fits = true;
	}
	return fits;
}

/* glibc describes its thread block for libthread_db: { bits, count, offset }. */
static uint32_t told_by_glibc(struct target *t)
{
	uint64_t addr, bytes;
	uint32_t desc[3];
	if (!find_symbol(t, "_thread_db_pthread_tid", &addr, &bytes) || target_read(t, addr, desc, sizeof(desc)))
		return 0;
	return desc[0] == 32 && desc[2] < 8192 ? desc[2] : 0;
}

/* Its loader is the libc, too. */
static bool has_musl(struct target *t)
{
	uint64_t addr, bytes;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		if (m->end && m->is_loader && !obj_module_find(t->obj, m, "pthread_create", &addr, &bytes))
			return true;
	}
	return false;
}

static uint32_t told_by_threads(struct target *t)
{
	if (!t->inj)
		return 0; /* they can be asked only while they are stopped */
	if (fits_all(t, MUSL_TID_OFF, false))
		return MUSL_TID_OFF;
	for (uint32_t off = 8; off < TCB_LOOK; off += 4)
		if (fits_all(t, off, false))
			return off;
	return 0;
}

bool procinfo_is_static(const struct target *t)
{
	bool loader = false;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++)
		loader |= obj_module_at(t->obj, i)->is_loader && obj_module_at(t->obj, i)->end;
	return !loader;
}

/* Only of a static program: what a dynamic one has of that is its own, and its libc will tell. */
static uint32_t told_by_code(struct target *t)
{
	uint32_t off = 0;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj) && procinfo_is_static(t) && !off; i++) {
		const struct obj_module *m = obj_module_at(t->obj, i);
		off = m->end && m->is_exe ? tid_scan(t, m) : 0;
	}
	return off && t->inj && !fits_all(t, off, true) ? 0 : off;
}

static uint32_t find_tid_off(struct target *t)
{
	int32_t go = gothreads_tid_off(t); /* a libc may be there, too: preloaded */
	if (go)
		return (uint32_t)go;
	uint32_t told = told_by_glibc(t);
	if (told)
		return told;
	if (has_musl(t))
		return MUSL_TID_OFF;
	uint32_t off = told_by_threads(t);
	return off ? off : told_by_code(t);
}

/* __errno_location, as glibc compiles it: mov slot(%rip),%rax; add %fs:0,%rax; ret, the slot
 * holding the offset; as musl does: mov %fs:0,%rax; add $offset,%rax; ret. */
static int64_t find_errno_off(struct target *t)
{
	uint64_t addr, bytes;
	uint8_t code[24], *p = code;
	if (!find_symbol(t, "__errno_location", &addr, &bytes) || target_read(t, addr, code, sizeof(code)))
		return INT64_MIN;
	if (!memcmp(p, "\xf3\x0f\x1e\xfa", 4))
		p += 4;
	if (!memcmp(p, "\x48\x8b\x05", 3) && !memcmp(p + 7, "\x64\x48\x03\x04\x25\0\0\0\0\xc3", 10)) {
		int32_t rel;
		int64_t off;
		memcpy(&rel, p + 3, 4);
		uint64_t slot = addr + (uint64_t)(p - code) + 7 + (uint64_t)(int64_t)rel;
		return target_read(t, slot, &off, sizeof(off)) ? INT64_MIN : off;
	}
	if (!memcmp(p, "\x64\x48\x8b\x04\x25\0\0\0\0\x48\x83\xc0", 12) && p[13] == 0xc3)
		return (int8_t)p[12];
	return INT64_MIN;
}

void procinfo_fill_libc(struct target *t, struct wire_proc *proc)
{
	if (!proc->tid_off)
		proc->tid_off = find_tid_off(t);
	if (proc->errno_off == INT64_MIN)
		proc->errno_off = find_errno_off(t);
}

/* The id that a task has in its own pid namespace; 0: unknown. @ret_nested: it differs from ours. */
static uint32_t own_tid(pid_t pid, pid_t tid, bool *ret_nested)
{
	char path[64], *line = NULL;
	size_t cap = 0;
	uint32_t id = 0, cnt = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	FILE *f = fopen(path, "re");
	while (f && !cnt && getline(&line, &cap, f) > 0) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		for (char *p = line + 6, *end; ; p = end, cnt++) {
			unsigned long v = strtoul(p, &end, 10);
			if (end == p)
				break;
			id = (uint32_t)v;
		}
	}
	free(line);
	if (f)
		fclose(f);
	*ret_nested = cnt > 1;
	return id;
}

static bool has_nested_thread(pid_t pid, uint32_t tid)
{
	char path[64];
	bool found = false, nested;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		pid_t outer = (pid_t)atoi(e->d_name);
		found = outer && own_tid(pid, outer, &nested) == tid;
	}
	if (d)
		closedir(d);
	return found;
}

bool procinfo_has_thread(struct target *t, uint32_t tid)
{
	char path[64];
	if (t->other_ns)
		return has_nested_thread(t->pid, tid);
	snprintf(path, sizeof(path), "/proc/%d/task/%u", t->pid, tid);
	return access(path, F_OK) == 0;
}

/* Threads made by a raw clone() without a thread block of their own: each would run in the other's contexts. */
static int check_fs_bases(struct target *t, struct err *reterr)
{
	uint32_t cnt = inject_thread_cnt(t->inj), n = 0;
	uint64_t *bases = malloc((cnt + 1ul) * sizeof(*bases));
	struct user_regs_struct regs;
	bool shared = false;
	if (!bases)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < cnt; i++)
		if (!inject_get_regs(t->inj, i, &regs, NULL) && regs.fs_base && regs.rsp) /* io_uring's workers have no stack */
			bases[n++] = regs.fs_base;
	qsort(bases, n, sizeof(*bases), host_compare_u64);
	for (uint32_t i = 1; i < n; i++)
		shared |= bases[i] == bases[i - 1];
	free(bases);
	return shared ? err_setf(reterr, -ENOTSUP, "process %d has threads that share one thread block (made by a raw clone): "
				 "probes could not tell them apart", t->pid) : 0;
}

static void name_of(pid_t pid, char *buf, size_t cap)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, cap - 1);
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n - 1 : 0] = 0;
}

#define PSARGS_MAX 80

/* The beginning of the command line, its parts a space apart; a process without one has its name. */
uint32_t procinfo_args(pid_t pid, struct intern *strings)
{
	char path[64], buf[PSARGS_MAX];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	if (fd >= 0)
		close(fd);
	while (n > 0 && !buf[n - 1])
		n--;
	if (n <= 0) {
		name_of(pid, buf, sizeof(buf));
		return intern_add(strings, buf);
	}
	for (ssize_t i = 0; i < n; i++)
		buf[i] = buf[i] ? buf[i] : ' ';
	buf[n] = 0;
	return intern_add(strings, buf);
}

void procinfo_ancestors(pid_t pid, struct wire_proc *proc)
{
	struct obj_proc_info info;
	for (uint32_t i = 0; i < WIRE_ANCESTOR_MAX && pid > 0 && !obj_proc_info(pid, &info, NULL); i++)
		proc->ancestors[i] = (uint32_t)(pid = info.ppid);
}

static bool has_fsgsbase(const struct target *t)
{
	return auxv_of(t->pid, AT_HWCAP2) & FSGSBASE_HWCAP2;
}

int procinfo_check(struct target *t, struct err *reterr)
{
	/* Bodies would read %fs:0 before the loader has given fs a base. */
	if (t->is_child && !has_fsgsbase(t))
		return err_setf(reterr, -ENOTSUP, "this kernel or processor does not let programs read their fs base (FSGSBASE), so "
				"none can be traced from its start; start it, then attach with -p");
	return check_fs_bases(t, reterr);
}

/* A raw clone() may begin threads without one.  Of programs that we begin, the loader is yet to give the first its own. */
static bool has_baseless(const struct target *t)
{
	struct user_regs_struct regs;
	for (uint32_t i = 0; !t->is_child && i < inject_thread_cnt(t->inj); i++)
		if (!inject_get_regs(t->inj, i, &regs, NULL) && !regs.fs_base && regs.rsp)
			return true;
	return false;
}

static bool has_rdpid(void)
{
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c >> 22 & 1;
}

int procinfo_fill(struct target *t, struct wire_proc *proc, struct err *reterr)
{
	struct obj_proc_info info;
	char comm[64];
	int r = obj_proc_info(t->pid, &info, reterr);
	if (r)
		return r;
	name_of(t->pid, comm, sizeof(comm));
	proc->leader = own_tid(t->pid, t->pid, &t->other_ns);
	proc->idx = t->proc;
	proc->row_seed = WIRE_ROW_SEED(t->proc);
	proc->ppid = (uint32_t)info.ppid;
	procinfo_ancestors(t->pid, proc);
	proc->uid = info.uid;
	proc->gid = info.gid;
	proc->execname = intern_add(t->s->strings, comm);
	proc->psargs = procinfo_args(t->pid, t->s->strings);
	/* The place may have been another's. */
	proc->tid_off = proc->unw_cnt[0] = proc->unw_cnt[1] = proc->lost_threads = proc->exec_tid = proc->dl_seq = proc->dl_ack = 0;
	proc->errno_off = INT64_MIN;
	proc->fs_set = has_baseless(t) ? WIRE_FS_NEVER : WIRE_FS_UNKNOWN;
	proc->coarse_tsc = rt_now_tsc();
	proc->shares = proc->no_main = 0;
	bool filtered = inject_has_seccomp(t->inj);
	proc->flags = (filtered ? WIRE_PROC_NO_SYSCALL : 0) | (filtered && inject_is_strict(t->inj) ? WIRE_PROC_NO_TSC : 0) |
		      (has_fsgsbase(t) ? WIRE_PROC_FSGSBASE : 0) | (has_rdpid() ? WIRE_PROC_RDPID : 0);
	proc->unw_off[0] = proc->unw_off[1] = t->s->shm->unw_off;
	procinfo_fill_libc(t, proc);
	STORE_RELEASE(&proc->pid, (uint32_t)t->pid);
	return 0;
}

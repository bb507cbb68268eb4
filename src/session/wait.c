/* SPDX-License-Identifier: MIT */
/* What happens in the targets: somebody rings, a loader waits, a process ends. */
#include "session/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINK_MAPS_MAX 4096
#define DYNS_MAX 1024
#define BELL_NS 2000000ULL /* how late a process that rings may be heard */
#define KERN_TICK_NS 1000000000ULL
#define SLICE_NS 20000000ULL /* how late the end of a process may be noticed */

static bool has_ended(struct target *t, int *ret_status)
{
	*ret_status = 0;
	if (t->pidfd < 0)
		return true;
	if (!host_pidfd_ended(t->pidfd))
		return false;
	if (t->is_child)
		waitpid(t->pid, ret_status, __WALL | WNOHANG);
	return true;
}

/* What the loader tells debuggers (link.h); false: there is none, or it does not.  musl's is private, with a pointer to
 * it, which is a number without meaning until the loader has relocated itself. */
static bool read_r_debug(struct target *t, struct r_debug *ret)
{
	uint64_t addr, at, bytes;
	bool found = false;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		if (!m->is_loader || m->is_exe || !m->end)
			continue;
		if (!obj_module_find(t->obj, m, "_r_debug", &addr, &bytes)) {
			found |= !target_read(t, addr, ret, sizeof(*ret));
		} else if (!obj_module_find(t->obj, m, "_dl_debug_addr", &addr, &bytes) && !target_read(t, addr, &at, sizeof(at))) {
			found = true;
			if (at < m->start || at >= m->end || target_read(t, at, ret, sizeof(*ret)))
				*ret = (struct r_debug){ .r_map = NULL };
		}
	}
	return found;
}

/* It tells before and after a change: before it there is nothing to see. */
static bool loader_is_busy(struct target *t)
{
	struct r_debug d;
	return read_r_debug(t, &d) && d.r_state != RT_CONSISTENT;
}

/* A dynamic section at @at asks for a library that is not the loader. */
static bool needs_libraries(struct target *t, uint64_t at, uint64_t bias)
{
	uint64_t strings = 0, names[8];
	uint32_t cnt = 0;
	Elf64_Dyn dyn;
	for (int i = 0; i < DYNS_MAX && !target_read(t, at, &dyn, sizeof(dyn)) && dyn.d_tag != DT_NULL; i++, at += sizeof(dyn)) {
		if (dyn.d_tag == DT_NEEDED && cnt < ARRAY_CNT(names))
			names[cnt++] = dyn.d_un.d_val;
		if (dyn.d_tag == DT_STRTAB)
			strings = dyn.d_un.d_ptr + (dyn.d_un.d_ptr < bias ? bias : 0); /* relocated in place, mostly */
	}
	char name[3];
	while (cnt && (target_read(t, strings + names[cnt - 1], name, sizeof(name)) || !memcmp(name, "ld-", sizeof(name))))
		cnt--;
	return cnt > 0;
}

/* The program asks for libraries, of which its list has none yet: that the list is in order means nothing then. */
static bool lacks_libraries(struct target *t, const struct r_debug *d)
{
	struct link_map m, exe = { .l_ld = NULL };
	uint64_t at = (uint64_t)d->r_map;
	for (int i = 0; at && i < LINK_MAPS_MAX && !target_read(t, at, &m, sizeof(m)); i++, at = (uint64_t)m.l_next) {
		const struct obj_module *mod = obj_module_by_addr(t->obj, (uint64_t)m.l_ld);
		if (!mod || !(mod->is_exe || mod->is_loader || mod->is_vdso))
			return false;
		exe = mod->is_exe ? m : exe;
	}
	return exe.l_ld && needs_libraries(t, (uint64_t)exe.l_ld, exe.l_addr);
}

/* Until it begins with the program's libraries there is nothing in it at all. */
bool target_is_loading(struct target *t)
{
	struct r_debug d;
	return read_r_debug(t, &d) && (!d.r_map || d.r_state != RT_CONSISTENT || lacks_libraries(t, &d));
}

bool session_is_loading(struct session *s, uint32_t proc)
{
	struct target *t = target_at(s, proc);
	return t && t->loading;
}

static void let_loader_go(struct target *t)
{
	struct wire_proc *proc = target_proc(t);
	STORE_RELEASE(&proc->dl_ack, LOAD_ACQUIRE(&proc->dl_seq));
	syscall(SYS_futex, &proc->dl_ack, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Its program's start is over: the early hook has done its work, threads need not pass it. */
static void drop_early_hook(struct target *t)
{
	const struct wire_shm *shm = t->s->shm;
	struct wire_site *sites = (struct wire_site *)((uint8_t *)t->s->shm + shm->site_off);
	for (uint32_t i = 0; i < shm->site_cnt; i++)
		if (sites[i].addr == t->early_addr && sites[i].kind == WIRE_SITE_HOOK)
			STORE_RELEASE(&sites[i].enabled, 0);
	t->loaded = true;
}

/* We came while its loader worked, and the hook may have come too late for its notice. */
static bool loaded_meanwhile(struct target *t)
{
	if (!t->loading || target_is_loading(t))
		return false;
	t->loading = false;
	return !obj_proc_refresh(t->obj, NULL);
}

static bool modules_came(struct target *t)
{
	struct wire_proc *proc = target_proc(t);
	uint32_t seq = LOAD_ACQUIRE(&proc->dl_seq);
	if (seq == proc->dl_ack)
		return loaded_meanwhile(t);
	if (t->is_fork) {
		let_loader_go(t);
		return false;
	}
	bool busy = loader_is_busy(t);
	/* The first notice of a start is that libraries will be mapped; the second, that they are. */
	bool early = busy && !t->loaded && t->early_addr && seq > 1;
	t->loading &= busy;
	if (!busy && !t->loaded && t->early_addr)
		drop_early_hook(t);
	if ((!busy || early) && !obj_proc_refresh(t->obj, NULL))
		return true;
	let_loader_go(t);
	return false;
}

/* A process that ends gives its memory back some time before it is seen as ended. */
static bool runs_another_program(struct target *t)
{
	char path[64], c;
	if (target_same_program(t))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool has_memory = fd >= 0 && read(fd, &c, 1) == 1;
	if (fd >= 0)
		close(fd);
	return has_memory;
}

/* They are places in files, which its next program may have, too. */
void target_drop_uprobes(struct target *t)
{
	if (t->s->kern)
		skern_drop(t->s->kern, t->proc);
}

/* One event of one target, if there is any. */
static enum session_event look(struct session *s, uint32_t *ret_proc, int *ret_status)
{
	*ret_proc = s->opts.follow ? children_adopt(s) : 0;
	if (*ret_proc)
		return SESSION_FORKED;
	*ret_proc = s->opts.follow ? children_exec(s) : 0;
	if (*ret_proc)
		return SESSION_STARTED;
	for (uint32_t i = 1; i < s->target_cnt; i++) {
		struct target *t = s->targets[i];
		*ret_proc = i;
		if (!t || t->gone || t->inj)
			continue;
		if (t->is_watched ? watch_modules_came(t) : modules_came(t))
			return SESSION_MODULES;
		if (has_ended(t, ret_status)) {
			t->gone = true;
			target_drop_uprobes(t);
			return SESSION_EXITED;
		}
		if (!children_is_watched(s, t->pid) && runs_another_program(t)) {
			t->gone = true;
			target_drop_uprobes(t);
			if (t->is_watched) /* its tables are of another program */
				STORE_RELEASE(&target_proc(t)->pid, 0);
			return SESSION_EXECED;
		}
		guard_look_at_times(t);
	}
	return SESSION_NOTHING;
}

static void sleep_at_doorbell(struct wire_shm *shm, uint32_t seen, uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000ULL), .tv_nsec = (long)(ns % 1000000000ULL) };
	STORE_RELEASE(&shm->consumer_sleeps, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	syscall(SYS_futex, &shm->doorbell, FUTEX_WAIT, seen, &ts, NULL, 0);
	STORE_RELEASE(&shm->consumer_sleeps, 0);
}

/* The kernel rings at a descriptor, targets at a futex: with both, it is one of them that is waited for. */
static bool sleep_at_kernel(struct session *s, uint64_t ns)
{
	struct pollfd p = { .fd = skern_doorbell(s->kern), .events = POLLIN };
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000ULL), .tv_nsec = (long)(ns % 1000000000ULL) };
	bool rung = ppoll(&p, 1, &ts, NULL) > 0;
	if (rung)
		skern_doorbell_clear(s->kern);
	return rung || LOAD_ACQUIRE(&s->shm->exiting);
}

static bool has_ringers(const struct session *s)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && !s->targets[i]->is_watched && !s->targets[i]->gone)
			return true;
	return false;
}

/* Memory of the kernel's has no futexes: whether a process rang is looked at now and then. */
static bool sleep_at_both(struct session *s, uint32_t seen, uint64_t ns)
{
	if (has_ringers(s) && ns > BELL_NS)
		ns = BELL_NS;
	return sleep_at_kernel(s, ns) || LOAD_ACQUIRE(&s->shm->doorbell) != seen;
}

static void keep_kernel(struct session *s, uint64_t now)
{
	if (now - s->kern_tick_ns > KERN_TICK_NS) {
		skern_tick(s->kern);
		s->kern_tick_ns = now;
	}
	watch_refresh(s);
}

static void tell_budget(struct session *s)
{
	int pids[WIRE_PROC_MAX];
	uint32_t cnt = 0;
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && !s->targets[i]->gone && !s->targets[i]->is_watched)
			pids[cnt++] = s->targets[i]->pid;
	budget_procs(s->budget, pids, cnt);
}

/* Who rang while its records were read would not ring again before they are read once more. */
static enum session_event heard(struct session *s, uint32_t rings)
{
	s->heard = rings;
	return SESSION_DATA;
}

enum session_event session_wait(struct session *s, uint64_t timeout_ns, uint32_t *ret_proc, int *ret_status)
{
	uint64_t end = host_now_ns() + timeout_ns;
	if (s->budget)
		tell_budget(s);
	for (;;) {
		uint32_t rings = LOAD_ACQUIRE(&s->shm->doorbell);
		if (LOAD_ACQUIRE(&s->shm->exiting)) /* by the kernel, by us, or in one process of many */
			session_forget_mains(s);
		enum session_event e = look(s, ret_proc, ret_status);
		uint64_t now = host_now_ns();
		if (e != SESSION_NOTHING)
			return e;
		if (rings != s->heard)
			return heard(s, rings);
		if (now >= end)
			return e;
		uint64_t left = end - now, slice = left < SLICE_NS ? left : SLICE_NS;
		if (!s->kern) {
			sleep_at_doorbell(s->shm, rings, slice);
			continue;
		}
		keep_kernel(s, now);
		if (!sleep_at_both(s, rings, slice))
			continue;
		rings = LOAD_ACQUIRE(&s->shm->doorbell);
		e = look(s, ret_proc, ret_status);
		return e == SESSION_NOTHING ? heard(s, rings) : e;
	}
}

int session_modules_done(struct session *s, uint32_t proc, struct err *reterr)
{
	struct target *t = s->targets[proc];
	int r = 0;
	if (t->is_watched)
		return 0;
	procinfo_fill_libc(t, target_proc(t));
	if (s->uses_stacks)
		r = unwind_update(t, reterr);
	if (!r)
		r = text_reapply(t, reterr);
	let_loader_go(t);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * Followed children.  A forked child enters itself (rt/child.c) at the first probe that fires in it; what it needs
 * it has from its parent: the patched text, the mappings.  Here it becomes a target, so that its end is seen and its
 * text restored.
 */
#include "session/session_int.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXEC_PATIENCE_NS 500000000ULL /* from the call until the new program is there */

static struct wire_proc *proc_at(const struct session *s, uint32_t i)
{
	return (struct wire_proc *)((uint8_t *)s->shm + s->shm->proc_off) + i;
}

static void *copy(const void *v, size_t bytes)
{
	void *c = malloc(bytes ? bytes : 1);
	if (c && bytes)
		memcpy(c, v, bytes);
	return c;
}

/* Code of ours is there, and not the child's own memory, where its parent may have got some since. */
static bool has_arena(const struct obj_proc *obj, const struct arena *a)
{
	for (uint32_t i = 0; i < obj_map_cnt(obj); i++)
		if (obj_map_at(obj, i)->start == a->addr)
			return owner_is_memfd(obj_map_at(obj, i)->path, "dyntrace-code");
	return false;
}

/* They count as full: what is written there, all have. */
static bool inherit_arenas(struct target *t, const struct target *from, const struct obj_proc *obj)
{
	for (uint32_t i = 0; i < from->arena_cnt; i++) {
		const struct arena *a = from->arenas[i];
		if (has_arena(obj, a) && !arena_note(t, &(struct arena){ .addr = a->addr, .bytes = a->bytes, .used = a->bytes, .promised = a->bytes }))
			return false;
	}
	uint64_t n = 0;
	for (uint64_t i = 0; i < t->move_cnt; i++)
		if (!arena_has(from, t->moves[i].to) || arena_has(t, t->moves[i].to))
			t->moves[n++] = t->moves[i];
	t->move_cnt = n;
	return true;
}

/* With those that went: a child has them if it was forked before.  In either list, a jump is taken out only where it stands. */
static bool inherit_windows(struct target *t, const struct target *from)
{
	t->placed = malloc((from->placed_cnt + from->went_cnt + 1ul) * sizeof(*t->placed));
	for (uint32_t i = 0; t->placed && i < from->placed_cnt; i++)
		t->placed[t->placed_cnt++] = from->placed[i];
	for (uint32_t i = 0; t->placed && i < from->went_cnt; i++)
		t->placed[t->placed_cnt++] = from->went[i];
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		t->placed[i].mod = NULL; /* the parent's */
	return t->placed;
}

bool children_inherit(struct target *t, const struct target *from, const struct obj_proc *obj)
{
	t->shm_addr = from->shm_addr;
	t->shm_bytes = from->shm_bytes;
	t->agent_addr = from->agent_addr;
	t->agent_bytes = from->agent_bytes;
	t->wipe_addr = from->wipe_addr;
	t->env = from->env;
	t->hook_addr = from->hook_addr;
	t->other_ns = from->other_ns;
	t->moves = copy(from->moves, from->move_cnt * sizeof(*t->moves));
	t->semas = copy(from->semas, from->sema_cnt * sizeof(*t->semas));
	t->holes = copy(from->holes, from->hole_cnt * sizeof(*t->holes));
	if (!inherit_windows(t, from) || !t->moves || !t->semas || !t->holes)
		return false;
	t->move_cnt = from->move_cnt;
	t->sema_cnt = from->sema_cnt;
	t->hole_cnt = from->hole_cnt;
	for (uint32_t i = 0; i < t->hole_cnt; i++)
		t->holes[i].mod = NULL;
	return !obj || inherit_arenas(t, from, obj);
}

/* The numbers of processes are what programs wrote into the shared memory: one that is not there is none of ours. */
static bool has_our_memory(const struct session *s, const struct obj_proc *obj, uint64_t addr)
{
	struct stat st;
	if (fstat(s->shm_fd, &st))
		return false;
	for (uint32_t i = 0; i < obj_map_cnt(obj); i++)
		if (obj_map_at(obj, i)->start == addr)
			return obj_map_at(obj, i)->shared && obj_map_at(obj, i)->inode == st.st_ino;
	return false;
}

/* It may have ended already, or run another program; then its records still are there.  The descriptor of the process first:
 * while that one lives its number is nobody else's. */
static bool open_handles(struct target *t)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	t->memfd = open(path, O_RDWR | O_CLOEXEC);
	return t->memfd >= 0 && t->pidfd >= 0 && !obj_proc_open(t->pid, &t->obj, NULL) &&
	       has_our_memory(t->s, t->obj, t->shm_addr) && target_same_program(t) && !target_has_ended(t);
}

static void close_handles(struct target *t)
{
	if (t->memfd >= 0)
		close(t->memfd);
	if (t->pidfd >= 0)
		close(t->pidfd);
	t->memfd = t->pidfd = -1;
}

static bool adopt(struct session *s, uint32_t i)
{
	struct wire_proc *proc = proc_at(s, i);
	struct target *t = calloc(1, sizeof(*t)), *parent = target_at(s, proc->parent);
	if (!t || !parent) {
		free(t);
		return false;
	}
	*t = (struct target){ .s = s, .proc = i, .pid = (pid_t)proc->pid, .is_fork = true, .pidfd = -1, .memfd = -1 };
	t->shm_addr = parent->shm_addr;
	bool lives = open_handles(t);
	if (!lives)
		close_handles(t); /* its end has been seen */
	if (!children_inherit(t, parent, lives ? t->obj : NULL)) {
		target_free(t);
		return false;
	}
	s->targets[i] = t;
	s->target_cnt = i >= s->target_cnt ? i + 1 : s->target_cnt;
	return true;
}

uint32_t children_adopt(struct session *s)
{
	for (uint32_t i = 1; i < s->shm->proc_cnt; i++)
		if (!s->targets[i] && LOAD_ACQUIRE(&proc_at(s, i)->state) == WIRE_PROC_LIVE && adopt(s, i))
			return i;
	return 0;
}

/* ---- exec ---- */

bool children_is_watched(const struct session *s, pid_t pid)
{
	for (uint32_t i = 0; i < s->exec_cnt; i++)
		if (s->execs[i].tid == pid || s->execs[i].pid == pid)
			return true;
	return false;
}

/* Also a child of vfork(), which its parent's struct wire_proc does not know. */
static bool is_ours(const struct session *s, const struct target *t, pid_t pid)
{
	struct obj_proc *obj = NULL;
	bool ours = !obj_proc_open(pid, &obj, NULL) && has_our_memory(s, obj, t->shm_addr);
	obj_proc_close(obj);
	return ours;
}

/* It waits in its hook: from now on the kernel tells us of its exec. */
static void watch(struct session *s, const struct target *t, struct wire_proc *proc)
{
	pid_t tid = (pid_t)LOAD_ACQUIRE(&proc->exec_tid);
	struct obj_proc_info info;
	if (s->exec_cnt < ARRAY_CNT(s->execs) && !children_is_watched(s, tid) && !obj_proc_info(tid, &info, NULL) &&
	    is_ours(s, t, info.leader) && !inject_watch_exec(tid, NULL))
		s->execs[s->exec_cnt++] = (struct exec_watch){ tid, info.leader, host_now_ns() };
	STORE_RELEASE(&proc->exec_tid, 0);
	syscall(SYS_futex, &proc->exec_tid, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* The program that ran there before is no more. */
static void forget_pid(struct session *s, pid_t pid)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && s->targets[i]->pid == pid) {
			s->targets[i]->gone = true;
			target_drop_uprobes(s->targets[i]);
		}
}

uint32_t children_exec(struct session *s)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && !s->targets[i]->gone && !s->targets[i]->other_ns && LOAD_ACQUIRE(&proc_at(s, i)->exec_tid))
			watch(s, s->targets[i], proc_at(s, i));
	for (uint32_t i = 0; i < s->exec_cnt;) {
		struct exec_watch w = s->execs[i];
		struct inject *inj;
		uint32_t proc;
		int r = inject_await_exec(w.tid, w.pid, host_now_ns() - w.since_ns > EXEC_PATIENCE_NS, &inj, NULL);
		if (!r) {
			i++;
			continue;
		}
		s->execs[i] = s->execs[--s->exec_cnt];
		if (r < 0)
			continue;
		forget_pid(s, w.pid);
		if (s->opts.may_follow && !s->opts.may_follow(s->opts.may_arg, w.pid)) {
			inject_detach(inj);
			continue;
		}
		if (!target_adopt(s, inj, &proc, NULL))
			return proc;
	}
	return 0;
}

/* ---- the end ---- */

static bool has_threads(const struct session *s, uint32_t proc)
{
	for (uint32_t i = 1; i < s->shm->thread_cnt; i++) {
		const struct wire_thread *t = (const struct wire_thread *)((const uint8_t *)s->shm + s->shm->thread_off +
									   i * s->shm->geom.stride);
		uint32_t state = LOAD_ACQUIRE(&t->state);
		if (state == WIRE_THREAD_FREE && !t->incarnation)
			return false;
		if (state == WIRE_THREAD_CLAIM || (state != WIRE_THREAD_FREE && t->proc == proc))
			return true;
	}
	return false;
}

/* Of one that has not been adopted: it will inherit. */
static bool is_parent(const struct session *s, uint32_t proc)
{
	for (uint32_t i = 1; i < s->shm->proc_cnt; i++)
		if (!s->targets[i] && proc_at(s, i)->state != WIRE_PROC_FREE && proc_at(s, i)->parent == proc)
			return true;
	return false;
}

void children_reap(struct session *s)
{
	for (uint32_t i = 1; i < s->target_cnt; i++) {
		struct target *t = s->targets[i];
		struct wire_proc *proc = proc_at(s, i);
		if (!t || !t->is_fork || !t->gone || is_parent(s, i) || has_threads(s, i))
			continue;
		s->targets[i] = NULL;
		target_free(t);
		memset(proc->hash_key, 0, sizeof(proc->hash_key));
		memset(proc->hash_thread, 0, sizeof(proc->hash_thread));
		proc->parent = 0;
		STORE_RELEASE(&proc->state, WIRE_PROC_FREE);
	}
}

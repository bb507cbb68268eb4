/* SPDX-License-Identifier: MIT */
/* Taking everything back. */
#include "session/kern_int.h"
#include "session/load_int.h"

#include "base/pids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/futex.h>
#include <time.h>
#include <unistd.h>

#define LEAVE_NS 1600000000ull /* for threads to leave our code */
#define TRIES_MIN 20           /* where a stop takes long */
#define STOP_TRIES 3 /* a thread may wait for a disk */
#define HELD_PATIENCE_NS 2000000000ull /* another dyntrace may have it for a moment */

bool target_is_ours(const struct target *t, uint64_t addr)
{
	return arena_has(t, addr) || addr - t->agent_addr < t->agent_bytes;
}

static int compare_to(const void *a, const void *b)
{
	const struct patch_move *x = a, *y = b;
	return x->to < y->to ? -1 : x->to > y->to;
}

/* Only where our jump still stands: a library may be gone, and another be in its place.  Where threads run on, holes come
 * later. */
static int text_restore(struct target *t, struct inject *inj, struct err *reterr)
{
	bool live = inject_is_live(inj);
	static const uint8_t jump[] = { 0xe9 };
	struct edit *e = malloc((2ul * t->placed_cnt + 1) * sizeof(*e));
	const struct edit *miss;
	uint32_t n = 0;
	if (!e)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < t->placed_cnt; i++) {
		const struct placed *p = &t->placed[i];
		e[n++] = (struct edit){ p->addr, p->bytes, p->jump_bytes, p->jump, p->old, edits_phase(p->jump[0], p->bytes, true) };
		if (p->hole_addr && !live)
			e[n++] = (struct edit){ p->hole_addr, sizeof(p->hole_old), sizeof(jump), jump, p->hole_old, 1 };
	}
	int r = edits_apply(inj, e, n, true, &miss, reterr);
	free(e);
	return r;
}

/* Threads at a displaced instruction go back to the original. Returns how many are still in our code. */
static uint32_t move_back(struct target *t, struct inject *inj)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < inject_thread_cnt(inj); i++) {
		struct user_regs_struct regs;
		if (inject_get_regs(inj, i, &regs, NULL))
			continue;
		struct patch_move key = { .to = regs.rip }; /* a displaced instruction, or the jump in a hole */
		const struct patch_move *m = t->move_cnt ? bsearch(&key, t->moves, t->move_cnt, sizeof(key), compare_to) : NULL;
		if (m) {
			regs.rip = m->from;
			inject_set_regs(inj, i, &regs, NULL);
		} else {
			left += target_is_ours(t, regs.rip);
		}
	}
	return left;
}

static bool is_ours(const void *t, uint64_t addr)
{
	return target_is_ours(t, addr);
}

/* Whether any stopped thread could still run or return into our code. */
static bool code_in_use(struct target *t, struct obj_proc *obj, struct inject *inj)
{
	if (obj_proc_refresh(obj, NULL))
		return true;
	for (uint32_t i = 0; i < inject_thread_cnt(inj); i++) {
		struct user_regs_struct regs;
		if (inject_get_regs(inj, i, &regs, NULL) || target_is_ours(t, regs.rip))
			return true;
		/* A signal frame may hold an address of ours, in any word of the stack; one may also be left from calls long ago. */
		if (calm_stack_has(obj, inj, regs.rsp, is_ours, t) > 0 && !quiet_has_none_of_ours(t, obj, inj, &regs))
			return true;
	}
	return false;
}

static void unmap(struct target *t, struct inject *inj)
{
	for (uint32_t i = 0; i < t->arena_cnt; i++)
		inject_munmap(inj, t->arenas[i]->addr, t->arenas[i]->bytes, NULL);
	if (t->agent_addr)
		inject_munmap(inj, t->agent_addr, t->agent_bytes, NULL);
	if (t->wipe_addr)
		inject_munmap(inj, t->wipe_addr, 4096, NULL);
	target_unmap_shm(t, inj);
}

/* Nobody may wait in the loader hook when we go. */
static void release_hook(struct target *t)
{
	if (!t->proc)
		return; /* a ghost: that hook gives up by itself */
	struct wire_proc *proc = target_proc(t);
	STORE_RELEASE(&proc->dl_ack, LOAD_ACQUIRE(&proc->dl_seq));
	syscall(SYS_futex, &proc->dl_ack, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Which memory is mapped where @t's is.  What a killed controller left others may take away, too, while nobody is stopped: then what is
 * mapped there is the next session's, or the process's own. */
static uint64_t what_is_there(const struct target *t, struct obj_proc *obj)
{
	uint64_t sum = 0;
	if (obj_proc_refresh(obj, NULL))
		return 0;
	for (uint32_t i = 0; i < obj_map_cnt(obj); i++) {
		const struct obj_map *m = obj_map_at(obj, i);
		if (m->inode && (m->start == t->shm_addr || target_is_ours(t, m->start)))
			sum = (sum ^ m->start ^ m->inode << 32) * 0x100000001b3ull;
	}
	return sum;
}

/* How long it runs between two looks.  Where many threads wait for few processors, one that stands in our code has to get its turn.  To let
 * it run alone while the others stand would be sooner: but if it begins another program then, the kernel waits for us to ask how each
 * of the others ended, and we, in PTRACE_SEIZE, for the kernel. */
static long longest_run(const struct inject *inj)
{
	long turns = 1 + inject_thread_cnt(inj) / 8;
	return 8000000 * (turns < 12 ? turns : 12);
}

int target_clean(struct target *t, struct obj_proc *obj, struct inject *inj, struct err *reterr)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	bool live = inject_is_live(inj), is_ghost = !t->proc;
	uint64_t before = is_ghost ? what_is_there(t, obj) : 0;
	semas_lower(t, inj);
	int r = text_restore(t, inj, reterr);
	if (!r && !live && t->hole_cnt)
		r = holes_restore(t, inj, reterr); /* in a child of one that offered itself */
	if (!r)
		r = inject_sync_core(inj, reterr);
	if (!r)
		r = inject_settle(inj, reterr);
	if (!r && live && !calm_await(t, obj, inj)) {
		free(holes_list(t, &t->left_cnt));
	} else if (!r && live && !(is_ghost && what_is_there(t, obj) != before)) {
		r = holes_restore(t, inj, reterr);
		if (!r)
			unmap(t, inj);
	}
	uint64_t end = host_now_ns() + LEAVE_NS;
	for (int i = 0; (i < TRIES_MIN || host_now_ns() < end) && !r && !live; i++) {
		if (i && is_ghost && what_is_there(t, obj) != before)
			return 0;
		if (!move_back(t, inj) && !code_in_use(t, obj, inj)) {
			unmap(t, inj);
			return 0;
		}
		release_hook(t);
		r = inject_resume(inj, reterr);
		nanosleep(&pause, NULL);
		if (!r)
			r = inject_stop(inj, reterr);
		if (i > 10 && pause.tv_nsec < longest_run(inj))
			pause.tv_nsec *= 2;
	}
	t->stays = !r && !live; /* a thread may yet return through it; its text is restored */
	return r;
}

static bool maps_mention(pid_t pid, const char *what)
{
	char path[64], *line = NULL;
	size_t cap = 0;
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && getline(&line, &cap, f) > 0)
		found = strstr(line, what) != NULL;
	free(line);
	fclose(f);
	return found;
}

static bool is_target(const struct session *s, pid_t pid)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && s->targets[i]->pid == pid && !s->targets[i]->gone)
			return true;
	return false;
}

/* It has the memory where the target has it. */
static bool is_child_of(const struct target *t, pid_t pid, const char *what)
{
	char at[32];
	snprintf(at, sizeof(at), "%08llx-", (unsigned long long)t->shm_addr);
	return t->shm_addr && maps_mention(pid, at) && maps_mention(pid, what) && maps_mention(pid, "dyntrace-shm");
}

/* What it has of @t's: what came to that one since is not the child's. */
static int clean_child(const struct target *t, pid_t pid, struct obj_proc *obj, struct inject *inj, struct err *reterr)
{
	struct target *kid = calloc(1, sizeof(*kid));
	int r = kid ? 0 : -ENOMEM;
	if (kid) {
		*kid = (struct target){ .s = t->s, .proc = t->proc, .pid = pid, .pidfd = -1, .memfd = -1 };
		r = children_inherit(kid, t, obj) ? target_clean(kid, obj, inj, reterr) : -ENOMEM;
	}
	target_free(kid);
	return r == -ENOMEM ? err_setf(reterr, r, "out of memory") : r;
}

/* @what: how its mappings name our memory.  While it stands its number is its own: looked at again, since it may be another's. */
static int clean_process(const struct target *t, pid_t pid, const char *what, struct err *reterr)
{
	struct inject *inj = NULL;
	struct obj_proc *obj = NULL;
	int r = inject_attach(pid, &inj, reterr);
	if (!r)
		r = inject_stop(inj, reterr);
	if (!r && !is_child_of(t, pid, what))
		r = err_setf(reterr, -ESRCH, "process %d has ended", (int)pid);
	if (!r)
		r = obj_proc_open(pid, &obj, reterr);
	if (!r)
		r = clean_child(t, pid, obj, inj, reterr);
	inject_detach(inj);
	obj_proc_close(obj);
	return r;
}

/* Children that the processes forked have copies of the patched text and our mappings. */
static void clean_children(struct session *s)
{
	struct stat st;
	char what[96];
	pid_t *v;
	uint32_t cnt;
	if (fstat(s->sign_fd >= 0 ? s->sign_fd : s->shm_fd, &st))
		return;
	snprintf(what, sizeof(what), " %llu ", (unsigned long long)st.st_ino);
	if (base_pids("/proc", &v, &cnt))
		return;
	for (uint32_t k = 0; k < cnt; k++) {
		pid_t pid = v[k];
		if (pid == getpid() || is_target(s, pid) || !maps_mention(pid, what))
			continue;
		for (uint32_t i = 1; i < s->target_cnt; i++)
			if (s->targets[i] && s->targets[i]->disarming && is_child_of(s->targets[i], pid, what) &&
			    !clean_process(s->targets[i], pid, what, NULL))
				break;
	}
	free(v);
}

static int stop_and_clean(struct target *t, struct err *reterr)
{
	const struct timespec nap = { 0, 5000000 };
	uint64_t end = host_now_ns() + HELD_PATIENCE_NS;
	int r = -EBUSY;
	for (int i = 0; r == -EBUSY && (i < STOP_TRIES || host_now_ns() < end); i++) {
		if (i)
			nanosleep(&nap, NULL);
		r = target_stop(t, reterr);
		if (!r)
			r = target_clean(t, t->obj, t->inj, reterr);
		target_go(t);
	}
	return r;
}

static int disarm_target(struct target *t, struct err *reterr)
{
	int r = 0;
	release_hook(t);
	if (t->move_cnt)
		base_sort(t->moves, t->move_cnt, sizeof(*t->moves), compare_to);
	if (!t->gone && t->pidfd >= 0 && target_same_program(t)) {
		r = stop_and_clean(t, reterr);
		if (r && r != -ESRCH)
			err_prefixf(reterr, "probes of process %d fire no more, but stay in its code until it is traced again",
				    (int)t->pid);
		if (r == -ESRCH)
			r = 0; /* it ended meanwhile */
		else if (r)
			t->left_cnt = t->placed_cnt;
	}
	t->disarming = true;
	return r;
}

static void forget(struct target *t)
{
	t->disarming = false;
	t->gone = true;
	t->placed_cnt = t->went_cnt = 0;
	t->move_cnt = 0;
}

void session_close_ring(struct session *s, struct wire_thread *thr)
{
	uint8_t *data = (uint8_t *)thr + s->shm->geom.ring_off;
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++)
		ring_abandon(&thr->ring, data, s->shm->geom.ring_bytes, l);
	ring_quick_abandon(&thr->ring, data, s->shm->geom.ring_bytes);
}

static void close_rings(struct session *s)
{
	for (uint32_t i = 0; i < s->shm->thread_cnt; i++) {
		struct wire_thread *thr = (struct wire_thread *)((uint8_t *)s->shm + s->shm->thread_off + i * s->shm->geom.stride);
		if (i && thr->state == WIRE_THREAD_FREE && !thr->incarnation)
			break;
		if (i)
			session_close_ring(s, thr);
	}
}

uint32_t session_left(const struct session *s, pid_t pid)
{
	uint32_t cnt = 0;
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && s->targets[i]->pid == pid)
			cnt += s->targets[i]->left_cnt;
	return cnt;
}

bool session_stays(const struct session *s, pid_t pid)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && s->targets[i]->pid == pid && s->targets[i]->stays)
			return true;
	return false;
}

int session_disarm(struct session *s, struct err *reterr)
{
	int ret = 0;
	session_enable(s, false);
	if (s->kern)
		skern_disarm(s->kern);
	for (uint32_t i = 1; i < s->target_cnt; i++) {
		struct target *t = s->targets[i];
		if (!t || t->is_watched || (t->gone && !t->placed_cnt))
			continue;
		int r = disarm_target(t, reterr);
		if (r)
			ret = r;
	}
	clean_children(s);
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && s->targets[i]->disarming)
			forget(s->targets[i]);
	close_rings(s);
	return ret;
}

/* SPDX-License-Identifier: MIT */
/* Processes that nothing of ours is in: those whose end is waited for, and those whose addresses the kernel recorded. */
#include "session/kern_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRESH_NS 20000000ULL /* how old what is known of its libraries may be */

/* Probes of the kernel's in a process are of this program and its libraries; who only looks wants to see their code. */
static void watch_program(struct target *t)
{
	t->module_cnt = obj_module_cnt(t->obj);
	if (!t->module_cnt || (!t->s->opts.uprobes && !t->s->opts.looks_only))
		return;
	t->memfd = obj_proc_mem(t->obj);
	if (t->memfd >= 0)
		t->known_addr = obj_module_at(t->obj, 0)->start;
}

bool watch_modules_came(struct target *t)
{
	uint32_t cnt = obj_module_cnt(t->obj);
	bool more = t->s->opts.uprobes && cnt != t->module_cnt;
	t->module_cnt = cnt;
	return more;
}

int watch_create(struct session *s, pid_t pid, struct inject *inj, uint32_t *ret_proc, struct err *reterr)
{
	struct target *t = calloc(1, sizeof(*t));
	if (!t || s->target_cnt >= s->shm->proc_cnt) {
		free(t);
		inject_detach(inj);
		return err_setf(reterr, -E2BIG, "too many processes in one session: at most %u", (uint32_t)s->shm->proc_cnt - 1);
	}
	*t = (struct target){ .s = s, .proc = s->target_cnt, .pid = pid, .is_child = inj != NULL, .is_watched = true,
			      .memfd = -1, .inj = inj };
	t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = t->pidfd < 0 ? err_setf(reterr, -errno, "cannot watch process %d: it is gone, or a thread of another", pid) :
		obj_proc_open(pid, &t->obj, reterr);
	if (r < 0) {
		inject_detach(inj);
		if (t->pidfd >= 0)
			close(t->pidfd);
		free(t);
		return r;
	}
	s->targets[s->target_cnt++] = t;
	watch_program(t);
	watch_unwind(t);
	*ret_proc = t->proc;
	return 0;
}

/* What the kernel unwinds the stacks of the process by. Without room for it, it follows frame pointers. */
void watch_unwind(struct target *t)
{
	struct wire_proc *proc = target_proc(t);
	if (!t->s->opts.unwinds || !t->s->uses_stacks || unwind_is_current(t))
		return;
	if (!proc->unw_off[0])
		proc->unw_off[0] = proc->unw_off[1] = t->s->shm->unw_off;
	stranger_identify(t);
	if (!unwind_update(t, NULL))
		STORE_RELEASE(&proc->pid, (uint32_t)t->pid);
}

static void refresh(struct target *t)
{
	if (!obj_proc_refresh(t->obj, NULL))
		watch_unwind(t);
}

void watch_refresh(struct session *s)
{
	uint64_t now = host_now_ns();
	if (!s->kern || now - s->watched_ns < FRESH_NS)
		return;
	s->watched_ns = now;
	stranger_look(s);
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && s->targets[i]->is_watched && !s->targets[i]->gone)
			refresh(s->targets[i]);
}

/* ---- others ---- */

uint32_t session_proc_of(struct session *s, uint32_t pid)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && (uint32_t)s->targets[i]->pid == pid)
			return i;
	for (uint32_t i = 0; i < s->seen_cnt; i++)
		if (s->seen[i].pid == pid)
			return WIRE_PROC_MAX + i;
	struct seen *v = realloc(s->seen, (s->seen_cnt + 1ul) * sizeof(*v));
	if (!v)
		return 0;
	s->seen = v;
	v[s->seen_cnt] = (struct seen){ .pid = pid };
	/* Where it is gone, its addresses stay numbers. */
	if (obj_proc_open((pid_t)pid, &v[s->seen_cnt].obj, NULL) < 0)
		v[s->seen_cnt].obj = NULL;
	return WIRE_PROC_MAX + s->seen_cnt++;
}

struct obj_proc *watch_obj(struct session *s, uint32_t proc)
{
	return proc - WIRE_PROC_MAX < s->seen_cnt ? s->seen[proc - WIRE_PROC_MAX].obj : NULL;
}

void watch_deinit(struct session *s)
{
	stranger_deinit(s);
	for (uint32_t i = 0; i < s->seen_cnt; i++)
		obj_proc_close(s->seen[i].obj);
	free(s->seen);
	free(s->unw_files);
}

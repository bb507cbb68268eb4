/* SPDX-License-Identifier: MIT */
/* A process's code against its files: what differs and whose it is; and the way back. */
#include "session/session_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define JUMP 5u
#define JOIN 3u /* equal bytes between two different ones of a place: those of an address */

struct look {
	struct target t;
	struct session_verdict *v;
	session_diff_fn *fn;
	void *arg;
};

static bool leads_to(const struct look *l, uint64_t addr, const char *name)
{
	for (uint32_t i = 0; i < obj_map_cnt(l->t.obj); i++) {
		const struct obj_map *m = obj_map_at(l->t.obj, i);
		if (addr >= m->start && addr < m->end)
			return owner_is_memfd(m->path, name) || !strcmp(m->path, name);
	}
	return false;
}

/* Where the jump or call at @p leads, that stands at @addr. */
static uint64_t jump_to(const uint8_t *p, uint64_t addr)
{
	int32_t rel;
	memcpy(&rel, p + 1, 4);
	return addr + JUMP + (uint64_t)(int64_t)rel;
}

static bool is_long(const struct look *l, const uint8_t *now, uint64_t at, uint64_t bytes, uint64_t start)
{
	return at + JUMP <= bytes && now[at] == 0xe9 && leads_to(l, jump_to(now + at, start + at), "dyntrace-code");
}

/* Whose the change at [at, end) is; a jump of ours that covers its first byte bounds it. */
static enum session_whose whose(const struct look *l, const uint8_t *now, uint64_t bytes, uint64_t start, uint64_t at, uint64_t *end)
{
	for (uint64_t from = at < JUMP ? 0 : at - JUMP + 1; from < *end && from <= at + 1; from++) {
		if (!is_long(l, now, from, bytes, start))
			continue;
		if (from + JUMP <= at)
			continue;
		if (*end > from + JUMP)
			*end = from + JUMP;
		return SESSION_WHOSE_DYNTRACE;
	}
	if (now[at] == 0xeb || (at && now[at - 1] == 0xeb)) {
		uint64_t from = now[at] == 0xeb ? at : at - 1;
		uint64_t to = from + 2 + (uint64_t)(int64_t)(int8_t)now[from + 1];
		if (from + 2 <= bytes && to < bytes && is_long(l, now, to, bytes, start)) {
			*end = *end > from + 2 ? from + 2 : *end;
			return SESSION_WHOSE_DYNTRACE;
		}
	}
	if (now[at] == 0xe8 && at + JUMP <= bytes && leads_to(l, jump_to(now + at, start + at), "[uprobes-trampoline]"))
		return SESSION_WHOSE_UPROBE;
	return now[at] == 0xcc && *end == at + 1 ? SESSION_WHOSE_BREAKPOINT : SESSION_WHOSE_UNKNOWN;
}

static void tell(struct look *l, const struct obj_map *m, uint64_t addr, const uint8_t *now, const uint8_t *file, uint64_t bytes,
		 enum session_whose who)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod;
	l->v->place_cnt[who]++;
	if (!l->fn)
		return;
	struct session_diff d = { .addr = addr, .path = m->path, .bytes = (uint32_t)bytes, .whose = who };
	uint64_t n = bytes < SESSION_DIFF_MAX ? bytes : SESSION_DIFF_MAX;
	memcpy(d.now, now, n);
	memcpy(d.file, file, n);
	if (!obj_symbolize(l->t.obj, addr, &sym, &mod)) {
		d.func = sym->name;
		d.off = addr - sym->addr;
	}
	l->fn(l->arg, &d);
}

/* The end of the run of bytes that differ from @at on. */
static uint64_t run_end(const uint8_t *now, const uint8_t *file, uint64_t at, uint64_t bytes)
{
	uint64_t end = at + 1;
	for (uint64_t i = end; i < bytes && i < end + JOIN; i++)
		if (now[i] != file[i])
			end = i + 1;
	return end;
}

static void compare(struct look *l, const struct obj_map *m, const uint8_t *now, const uint8_t *file, uint64_t bytes)
{
	for (uint64_t page = 0; page < bytes; page += PAGE) {
		uint64_t last = page + PAGE < bytes ? page + PAGE : bytes;
		if (!memcmp(now + page, file + page, last - page))
			continue;
		for (uint64_t at = page; at < last; at++) {
			if (now[at] == file[at])
				continue;
			uint64_t end = run_end(now, file, at, bytes);
			enum session_whose who = whose(l, now, bytes, m->start, at, &end);
			tell(l, m, m->start + at, now + at, file + at, end - at, who);
			at = end - 1;
			page = at / PAGE * PAGE;
			last = page + PAGE < bytes ? page + PAGE : bytes;
		}
	}
}

static int verify_map(struct look *l, const struct obj_map *m, struct err *reterr)
{
	struct obj_module *mod = obj_module_by_addr(l->t.obj, m->start);
	uint64_t bytes = m->end - m->start;
	uint8_t byte;
	if (mod && mod->is_vdso)
		return 0;
	if (!mod || obj_module_text(l->t.obj, mod, m->start, &byte, 1)) {
		l->v->unknown_cnt++;
		return 0;
	}
	uint8_t *now = malloc(bytes), *file = malloc(bytes);
	int r = now && file ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	if (!r && target_read(&l->t, m->start, now, bytes))
		r = err_setf(reterr, -EFAULT, "the code of %s cannot be read (process %d has ended, or unloaded it)", m->path, l->t.pid);
	if (!r) {
		memcpy(file, now, bytes);
		for (uint64_t at = 0; at < bytes; at += PAGE)
			leftover_file(&l->t, mod, m->start + at, file + at, now + at, bytes - at < PAGE ? bytes - at : PAGE);
		compare(l, m, now, file, bytes);
	}
	free(now);
	free(file);
	return r;
}

/* Whoever goes in good order says in the memory that nothing is armed. */
static void note_end(struct look *l, const struct obj_map *m, uint32_t told)
{
	struct wire_shm shm;
	struct obj_proc_info info;
	uint64_t addr = owner_is_sign(m) ? m->end : m->start;
	if (l->v->owner)
		return;
	l->v->is_over = !target_read(&l->t, addr, &shm, sizeof(shm)) && shm.magic == WIRE_MAGIC && !LOAD_RELAXED(&shm.armed);
	l->v->ended = told && !obj_proc_info((pid_t)told, &info, NULL) && info.state == 'Z' ? (pid_t)told : 0;
}

static void note_owner(struct look *l, const struct obj_map *m)
{
	bool unsure;
	l->v->map_cnt++;
	if (!owner_is_memfd(m->path, "dyntrace-shm") || l->v->owner)
		return;
	uint32_t told = owner_told(&l->t, m);
	l->v->owner = owner_of(m, told, &unsure);
	l->v->owner_unsure = unsure;
	note_end(l, m, unsure ? 0 : told);
	if (l->v->owner)
		owner_command(l->v->owner, l->v->owner_command, sizeof(l->v->owner_command));
}

static int verify_maps(struct look *l, struct err *reterr)
{
	int r = 0;
	for (uint32_t i = 0; i < obj_map_cnt(l->t.obj) && !r; i++) {
		const struct obj_map *m = obj_map_at(l->t.obj, i);
		if (owner_is_memfd(m->path, "dyntrace-"))
			note_owner(l, m);
		else if ((m->prot & PROT_EXEC) && m->path[0] == '/')
			r = verify_map(l, m, reterr);
	}
	return r;
}

/* -errno: they cannot be looked at. */
static int count_descriptors(pid_t pid, uint32_t *ret_cnt)
{
	char path[320], to[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	*ret_cnt = 0;
	if (!d)
		return -errno;
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		ssize_t n = readlink(path, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		*ret_cnt += owner_is_memfd(to, "dyntrace-");
	}
	closedir(d);
	return 0;
}

/* Where others look for us (obj_set_helper()), as they may. */
static int open_helped(struct target *t, struct err *reterr)
{
	int r = obj_proc_open(t->pid, &t->obj, reterr);
	if (r)
		return r;
	t->memfd = obj_proc_mem(t->obj);
	return t->memfd < 0 ? err_setf(reterr, t->memfd, "cannot read the memory of process %d: %s", (int)t->pid, strerror(-t->memfd)) : 0;
}

int session_verify(pid_t pid, session_diff_fn *fn, void *arg, struct session_verdict *ret, struct err *reterr)
{
	struct session_verdict v = { 0 };
	struct look l = { .t = { .pid = pid, .memfd = -1, .pidfd = -1 }, .v = &v, .fn = fn, .arg = arg };
	struct inject *inj; /* for its messages: who may not be traced may not be read */
	int r = inject_look(pid, &inj, reterr);
	inject_detach(r ? NULL : inj);
	if (!r)
		r = target_open(&l.t, reterr);
	else if ((r == -EPERM || r == -EACCES) && !open_helped(&l.t, NULL))
		r = 0;
	if (!r)
		r = verify_maps(&l, reterr);
	count_descriptors(pid, &v.fd_cnt);
	target_close(&l.t);
	if (!r)
		*ret = v;
	return r;
}

/* Mappings that stay because a thread sleeps in their code. */
static int check_gone(struct target *t, struct err *reterr)
{
	int r = obj_proc_refresh(t->obj, reterr);
	r = r ? r : owner_check(t, reterr); /* one that came meanwhile */
	for (uint32_t i = 0; i < obj_map_cnt(t->obj) && !r; i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (!owner_is_memfd(m->path, "dyntrace-") || (owner_is_memfd(m->path, INJECT_PROOF) && owner_proves(m)))
			continue;
		if (t->left_cnt)
			r = err_setf(reterr, -EBUSY, "%u jumps stay between functions of process %d, where no code leads any more, since not all of "
				     "its threads were seen elsewhere in time: repair it again later", t->left_cnt, t->pid);
		else
			r = err_setf(reterr, -EBUSY, "the code of process %d is as it was, but a thread waits in a function that was "
				     "called through ours: repair it again later", t->pid);
	}
	return r;
}

/* Where there are jumps there is what they lead to: without it nobody need be stopped.  It may be a process that only has the
 * number of the one that was traced. */
static bool has_nothing(const struct target *t)
{
	uint32_t fds = 0;
	if (!t->link && (count_descriptors(t->pid, &fds) || fds))
		return false;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++)
		if (owner_is_memfd(obj_map_at(t->obj, i)->path, "dyntrace-"))
			return false;
	return true;
}

/* Takes over @inj. */
static int repair(struct inject *inj, struct session_repaired *ret, struct err *reterr)
{
	struct target t = { .pid = inject_pid(inj), .memfd = -1, .pidfd = -1, .inj = inj, .link = inject_is_live(inj) ? inj : NULL };
	struct session_repaired did = { 0 };
	int r = target_open(&t, reterr);
	if (!r)
		r = owner_check(&t, reterr);
	bool has_some = !r && !has_nothing(&t);
	if (has_some)
		r = inject_stop(t.inj, reterr);
	if (!r && has_some)
		r = obj_proc_refresh(t.obj, reterr);
	if (!r && has_some)
		r = owner_check(&t, reterr);
	if (!r && has_some)
		r = leftover_clean(&t, &did, reterr);
	if (!r && has_some)
		r = check_gone(&t, reterr);
	target_close(&t);
	if (!r)
		*ret = did;
	return r;
}

int session_repair(pid_t pid, struct session_repaired *ret, struct err *reterr)
{
	struct inject *inj;
	int r = inject_attach(pid, &inj, reterr);
	return r ? r : repair(inj, ret, reterr);
}

int session_repair_offered(pid_t pid, const struct session_offer *o, struct session_repaired *ret, struct err *reterr)
{
	struct inject *inj;
	int r = inject_offered(pid, o->tid, o->sock, &inj, reterr);
	return r ? r : repair(inj, ret, reterr);
}

int session_may_enter(pid_t pid, struct err *reterr) { return inject_may(pid, reterr); }

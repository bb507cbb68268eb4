/* SPDX-License-Identifier: MIT */
/* Unwind tables in the shared memory.  A new list of maps is written beside the current one, which is
 * then flipped; rows are only ever added. */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *unw_alloc(struct session *s, uint64_t bytes, uint64_t *ret_off)
{
	uint64_t at = align_up(s->unw_used, 16);
	if (at + bytes > s->shm->unw_bytes)
		return NULL;
	s->unw_used = at + bytes;
	*ret_off = s->shm->unw_off + at;
	return (uint8_t *)s->shm + *ret_off;
}

static const struct wire_unw_map *find_old(struct target *t, uint64_t start, uint64_t end)
{
	struct wire_proc *proc = target_proc(t);
	const struct wire_unw_map *maps = (const struct wire_unw_map *)((uint8_t *)t->s->shm + proc->unw_off[proc->unw_cur]);
	for (uint32_t i = 0; i < proc->unw_cnt[proc->unw_cur]; i++)
		if (maps[i].start == start && maps[i].end == end)
			return &maps[i];
	return NULL;
}

/* Rows of one executable mapping.  Without any the walker follows frame pointers. */
static void add_rows(struct target *t, const struct obj_map *m, struct wire_unw_map *ret)
{
	struct obj_module *mod = obj_module_by_addr(t->obj, m->start);
	struct wire_unw_row *rows;
	uint32_t cnt;
	*ret = (struct wire_unw_map){ .start = m->start, .end = m->end };
	if (!mod || obj_unwind_rows(t->obj, mod, m->start, m->end, &rows, &cnt, NULL))
		return;
	void *to = unw_alloc(t->s, cnt * sizeof(*rows), &ret->rows_off);
	if (to) {
		memcpy(to, rows, cnt * sizeof(*rows));
		ret->row_cnt = cnt;
	}
	free(rows);
}

static bool is_code(const struct obj_map *m) { return m->prot & PROT_EXEC && !strstr(m->path, "dyntrace-"); }

bool unwind_is_current(struct target *t)
{
	const struct wire_proc *proc = target_proc(t);
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (!is_code(m))
			continue;
		if (!find_old(t, m->start, m->end))
			return false;
		cnt++;
	}
	return cnt == proc->unw_cnt[proc->unw_cur];
}

int unwind_update(struct target *t, struct err *reterr)
{
	struct wire_proc *proc = target_proc(t);
	uint32_t next = !proc->unw_cur, cnt = 0;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++)
		cnt += !!(obj_map_at(t->obj, i)->prot & PROT_EXEC);
	uint64_t off;
	struct wire_unw_map *maps = unw_alloc(t->s, cnt * sizeof(*maps), &off);
	if (!maps)
		return err_setf(reterr, -ENOSPC, "the program is too large for the unwind tables' memory");
	uint32_t n = 0;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (!is_code(m))
			continue;
		const struct wire_unw_map *old = find_old(t, m->start, m->end);
		if (old)
			maps[n] = *old;
		else
			add_rows(t, m, &maps[n]);
		n++;
	}
	proc->unw_off[next] = off;
	proc->unw_cnt[next] = n;
	STORE_RELEASE(&proc->unw_cur, next);
	return 0;
}

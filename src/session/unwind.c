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
	const struct wire_unw_map *maps = (const struct wire_unw_map *)((uint8_t *)t->s->shm + proc->unw_off[proc->unw_cur & 1]);
	for (uint32_t i = 0; i < proc->unw_cnt[proc->unw_cur & 1]; i++)
		if (maps[i].start == start && maps[i].end == end)
			return &maps[i];
	return NULL;
}

/* Rows count from their mapping's start: all processes that have a file mapped alike share them. */
struct unw_file {
	uint64_t inode, off, bytes, rows_off;
	uint32_t row_cnt, path_hash;
};

static struct unw_file file_of(const struct obj_map *m)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (const char *p = m->path; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	return (struct unw_file){ .inode = m->inode, .off = m->off, .bytes = m->end - m->start, .path_hash = h };
}

static const struct unw_file *file_find(const struct session *s, const struct unw_file *f)
{
	for (uint32_t i = 0; f->inode && i < s->unw_file_cnt; i++) {
		const struct unw_file *o = &s->unw_files[i];
		if (o->inode == f->inode && o->off == f->off && o->bytes == f->bytes && o->path_hash == f->path_hash)
			return o;
	}
	return NULL;
}

static void file_add(struct session *s, struct unw_file f, const struct wire_unw_map *map)
{
	struct unw_file *v = f.inode ? realloc(s->unw_files, (s->unw_file_cnt + 1ul) * sizeof(*v)) : NULL;
	if (!v)
		return;
	f.rows_off = map->rows_off;
	f.row_cnt = map->row_cnt;
	s->unw_files = v;
	v[s->unw_file_cnt++] = f;
}

#define INDEX_SHIFT 10 /* some three rows of usual code */

static uint64_t index_cnt(const struct obj_map *m)
{
	return ((m->end - m->start) >> INDEX_SHIFT) + 2;
}

/* A search through a large program's rows meets a cold line of memory at each step: with this it has two steps left. */
static void make_index(uint32_t *index, uint64_t cnt, const struct wire_unw_row *rows, uint32_t row_cnt)
{
	uint32_t row = 0;
	for (uint64_t i = 0; i < cnt; i++) {
		while (row < row_cnt && rows[row].pc < i << INDEX_SHIFT)
			row++;
		index[i] = row;
	}
}

/* Rows of one executable mapping.  Without any the walker follows frame pointers. */
static void add_rows(struct target *t, const struct obj_map *m, struct wire_unw_map *ret)
{
	struct obj_module *mod = obj_module_by_addr(t->obj, m->start);
	struct wire_unw_row *rows;
	uint32_t cnt;
	struct unw_file file = file_of(m);
	const struct unw_file *have = file_find(t->s, &file);
	*ret = (struct wire_unw_map){ .start = m->start, .end = m->end };
	if (have) {
		ret->rows_off = have->rows_off;
		ret->row_cnt = have->row_cnt;
		ret->index_shift = INDEX_SHIFT;
		return;
	}
	if (!mod || obj_unwind_rows(t->obj, mod, m->start, m->end, &rows, &cnt, NULL))
		return;
	uint64_t bytes = cnt * sizeof(*rows), entries = index_cnt(m);
	uint8_t *to = unw_alloc(t->s, bytes + entries * sizeof(uint32_t), &ret->rows_off);
	if (to) {
		memcpy(to, rows, bytes);
		make_index((uint32_t *)(to + bytes), entries, rows, cnt);
		ret->row_cnt = cnt;
		ret->index_shift = INDEX_SHIFT;
		file_add(t->s, file, ret);
	}
	free(rows);
}

static bool is_code(const struct obj_map *m) { return m->prot & PROT_EXEC && !owner_is_memfd(m->path, "dyntrace-"); }

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
	return cnt == proc->unw_cnt[proc->unw_cur & 1];
}

int unwind_update(struct target *t, struct err *reterr)
{
	struct wire_proc *proc = target_proc(t);
	uint32_t next = !(proc->unw_cur & 1), cnt = 0;
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
	STORE_RELEASE(&proc->unw_cur, proc->unw_cur + 1);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Whether a stopped thread holds neither the loader's nor malloc's lock, nor one of those that making a thread takes: its
 * stack is walked to its end, by unwind tables alone, and no frame may be of a function that has one.  What cannot be
 * walked, or has frames of signal handlers or of unknown code, proves nothing.
 *
 * A libc without a symbol table has names for what it exports only.  A nameless frame in it is taken as part of
 * the named one that called it; where none in the libc did, it may have been any.
 */
#include "session/load_int.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 512
#define ROOM_BYTES (64u << 10) /* of stack, for who is called there */

struct table {
	uint64_t start, end;
	struct wire_unw_row *rows;
	uint32_t cnt;
};
struct quiet {
	struct target *t;
	struct obj_proc *obj;  /* of the process behind @inj: @t's, or a forked child's */
	struct inject *inj;
	bool locks;            /* matter; else only whether our code is there */
	struct table *tables;
	uint32_t table_cnt;
};

struct frame {
	uint64_t pc, sp, bp, bx;
};

static const char *const with_locks[] = {
	"*alloc*", "*free*", "*memalign*", "*strdup*", "*strndup*", "*trim*", "*mallopt*", "*mallinfo*", "*asprintf*", "open_memstream*",
	"*dl_*", "dl*", "*dlopen*", "*dlsym*", "*dlclose*", "*fork*", "*clone*", "*pthread_create*", "*pthread_exit*", "*pthread_join*",
	"*atexit*", "exit", "_exit", "*_finalize*", "*setxid*", "*tls_get_addr*", "*setenv*", "*getenv*", "*putenv*", "*brk*", "abort",
	"*system*", "*popen*", "*posix_spawn*", "*longjmp*", "*thread_atexit*", "*gconv*", "*setlocale*", "*getaddrinfo*", "*nss*",
};

static bool is_libc(const struct obj_module *m)
{
	return !strncmp(m->name, "libc.so", 7) || !strncmp(m->name, "libc-", 5) || !strncmp(m->name, "libpthread", 10);
}

/* LTTng's own locks: what is called there may want them, too. */
static bool is_lttng(const struct obj_module *m)
{
	return !strncmp(m->name, "liblttng-ust", 12) || !strncmp(m->name, "libdyntrace-lttng", 17);
}

static bool has_lock(const char *name)
{
	for (size_t i = 0; i < ARRAY_CNT(with_locks); i++)
		if (!fnmatch(with_locks[i], name, 0))
			return true;
	return false;
}

static const struct table *table_of(struct quiet *q, uint64_t pc, struct obj_module *mod)
{
	for (uint32_t i = 0; i < q->table_cnt; i++)
		if (pc >= q->tables[i].start && pc < q->tables[i].end)
			return &q->tables[i];
	for (uint32_t i = 0; i < obj_map_cnt(q->obj); i++) {
		const struct obj_map *m = obj_map_at(q->obj, i);
		if (pc < m->start || pc >= m->end)
			continue;
		struct table *more = realloc(q->tables, (q->table_cnt + 1ul) * sizeof(*more));
		if (!more)
			return NULL;
		q->tables = more;
		struct table *tb = &more[q->table_cnt];
		*tb = (struct table){ .start = m->start, .end = m->end };
		if (obj_unwind_rows(q->obj, mod, m->start, m->end, &tb->rows, &tb->cnt, NULL))
			return NULL;
		q->table_cnt++;
		return tb;
	}
	return NULL;
}

static const struct wire_unw_row *row_at(const struct table *tb, uint64_t pc)
{
	uint32_t lo = 0, hi = tb->cnt, want = (uint32_t)(pc - tb->start);
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (tb->rows[mid].pc <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &tb->rows[lo - 1] : NULL;
}

static bool word(struct quiet *q, uint64_t addr, uint64_t *ret)
{
	return !inject_read(q->inj, addr, ret, sizeof(*ret), NULL);
}

static bool cfa_of(struct quiet *q, const struct wire_unw_row *row, const struct frame *f, uint64_t *ret)
{
	uint64_t off = (uint64_t)(int64_t)row->cfa_off;
	switch ((enum wire_unw_kind)row->kind) {
	case WIRE_UNW_RSP: *ret = f->sp + off; return true;
	case WIRE_UNW_RBP: *ret = f->bp + off; return true;
	case WIRE_UNW_RBX: *ret = f->bx + off; return true;
	case WIRE_UNW_RBP_DEREF: return word(q, f->bp + off, ret);
	case WIRE_UNW_PLT: *ret = f->sp + 8 + ((f->pc & 15) >= 11 ? 8 : 0); return true;
	default: return false; /* guesses are no proof */
	}
}

static bool to_caller(struct quiet *q, const struct wire_unw_row *row, struct frame *f)
{
	uint64_t cfa, bp = f->bp, bx = f->bx, pc;
	if (!cfa_of(q, row, f, &cfa) || cfa <= f->sp || !word(q, cfa - 8, &pc))
		return false;
	bool deref = row->kind == WIRE_UNW_RBP_DEREF;
	uint64_t base = deref ? f->bp : cfa;
	if ((row->rbp_off || deref) && !word(q, base + (uint64_t)(int64_t)row->rbp_off, &bp))
		return false;
	if (row->rbx_off && !word(q, base + (uint64_t)(int64_t)row->rbx_off, &bx))
		return false;
	*f = (struct frame){ pc, cfa, bp, bx };
	return true;
}

enum verdict { HOLDS, UNKNOWN, CLEAR };

static enum verdict judge(struct quiet *q, uint64_t pc, const struct obj_module *mod)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *m;
	if (!mod || arena_has(q->t, pc) || (q->locks && (mod->is_loader || is_lttng(mod))))
		return HOLDS;
	if (mod->is_vdso || !q->locks)
		return CLEAR;
	if (obj_symbolize(q->obj, pc, &sym, &m))
		return is_libc(mod) ? UNKNOWN : CLEAR;
	return has_lock(sym->name) ? HOLDS : CLEAR;
}

static bool walk(struct quiet *q, struct frame f)
{
	bool doubt = false; /* a nameless frame of the libc is below */
	for (uint32_t i = 0; i < FRAMES_MAX; i++) {
		uint64_t pc = f.pc - (i != 0);
		struct obj_module *mod = obj_module_by_addr(q->obj, pc);
		enum verdict v = judge(q, pc, mod);
		if (v == HOLDS || (doubt && v != UNKNOWN && !is_libc(mod)))
			return false;
		const struct table *tb = table_of(q, pc, mod);
		const struct wire_unw_row *row = tb ? row_at(tb, pc) : NULL;
		if (!row)
			return false;
		if (row->kind == WIRE_UNW_END)
			return true; /* where threads begin */
		doubt = v == UNKNOWN;
		if (!to_caller(q, row, &f))
			return false;
	}
	return false;
}

static bool has_room(const struct target *t, uint64_t sp)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (sp >= m->start && sp < m->end)
			return sp - m->start >= ROOM_BYTES || !strcmp(m->path, "[stack]");
	}
	return false;
}

static void deinit(struct quiet *q)
{
	for (uint32_t i = 0; i < q->table_cnt; i++)
		free(q->tables[i].rows);
	free(q->tables);
}

bool quiet_has_none_of_ours(struct target *t, struct obj_proc *obj, struct inject *inj, const struct user_regs_struct *r)
{
	struct quiet q = { .t = t, .obj = obj, .inj = inj };
	bool clear = walk(&q, (struct frame){ r->rip, r->rsp, r->rbp, r->rbx });
	deinit(&q);
	return clear;
}

int quiet_thread(struct target *t, bool patient)
{
	struct quiet q = { .t = t, .obj = t->obj, .inj = t->inj, .locks = true };
	int found = -1;
	for (uint32_t i = 0; i < inject_thread_cnt(t->inj) && found < 0; i++) {
		struct user_regs_struct r;
		if (inject_get_regs(t->inj, i, &r, NULL) || !has_room(t, r.rsp))
			continue;
		/* What is left of a timed wait would be lost: its caller would see EINTR. */
		bool timed = (int64_t)r.orig_rax >= 0 && (int64_t)r.rax == -516;
		if (!(timed && patient) && walk(&q, (struct frame){ r.rip, r.rsp, r.rbp, r.rbx }))
			found = (int)i;
	}
	deinit(&q);
	return found;
}

/* SPDX-License-Identifier: MIT */
/* Executable memory near the code that jumps to it. */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REACH 0x7ff00000ULL      /* of a rel32, with something to spare */
#define LOWEST 0x10000ULL        /* vm.mmap_min_addr */
#define HEAP_ROOM (1ULL << 30)   /* left to a heap that may grow */
#define STACK_ROOM (16ULL << 30) /* to the main stack */
#define HIGHEST 0x7fffffff0000ULL

static bool in_reach(uint64_t addr, uint64_t bytes, uint64_t lo, uint64_t hi)
{
	uint64_t end = addr + bytes;
	uint64_t far_lo = hi > addr ? hi - addr : 0, far_hi = end > lo ? end - lo : 0;
	return far_lo < REACH && far_hi < REACH;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The best address in the gap [from, to) that lies between maps @before and @after; 0: none. */
static uint64_t place_in_gap(uint64_t from, uint64_t to, const struct obj_map *before, const struct obj_map *after,
			     uint64_t bytes, uint64_t lo, uint64_t hi, bool below_stack)
{
	if (after && !strcmp(after->path, "[stack]")) { /* which grows down into it */
		if (!below_stack || to - from < STACK_ROOM)
			return 0;
		to -= STACK_ROOM;
	}
	if (before && (!strcmp(before->path, "[heap]") || before->end - 1 < hi))
		from += HEAP_ROOM; /* a heap may begin or grow here */
	if (from > to || to - from < bytes)
		return 0;
	uint64_t low = from, high = to - bytes;
	if (after && after->start <= lo && in_reach(high, bytes, lo, hi))
		return align_down(high, 4096);
	return in_reach(low, bytes, lo, hi) ? low : in_reach(high, bytes, lo, hi) ? align_down(high, 4096) : 0;
}

/* An unmapped place for @bytes within reach of all of [lo, hi), nearest first. */
static uint64_t find_gap_in(const struct obj_proc *obj, uint64_t bytes, uint64_t lo, uint64_t hi, bool below_stack)
{
	uint64_t best = 0, from = LOWEST;
	const struct obj_map *before = NULL;
	for (uint32_t i = 0; i <= obj_map_cnt(obj); i++) {
		const struct obj_map *after = i < obj_map_cnt(obj) ? obj_map_at(obj, i) : NULL;
		uint64_t to = after && after->start < HIGHEST ? after->start : HIGHEST;
		uint64_t at = from < to ? place_in_gap(from, to, before, after, bytes, lo, hi, below_stack) : 0;
		if (at && (!best || distance(at, lo) < distance(best, lo)))
			best = at;
		if (!after || after->end >= HIGHEST)
			break;
		if (after->end > from)
			from = after->end;
		before = after;
	}
	return best;
}

/* The stacks of hundreds of threads fill what is below the libraries; above them is what the main one will hardly need. */
static uint64_t find_gap(const struct obj_proc *obj, uint64_t bytes, uint64_t lo, uint64_t hi)
{
	uint64_t at = find_gap_in(obj, bytes, lo, hi, false);
	return at ? at : find_gap_in(obj, bytes, lo, hi, true);
}

/* Shared memory is large and may be far: the middle of the largest gap, so that what is near code stays free. */
uint64_t arena_far_place(const struct obj_proc *obj, uint64_t bytes)
{
	uint64_t best = 0, best_bytes = 0, from = LOWEST;
	for (uint32_t i = 0; i < obj_map_cnt(obj); i++) {
		const struct obj_map *m = obj_map_at(obj, i);
		if (m->start >= HIGHEST)
			break;
		if (m->start > from && m->start - from > best_bytes) {
			best_bytes = m->start - from;
			best = from + (best_bytes - bytes) / 2;
		}
		from = m->end > from ? m->end : from;
	}
	return best_bytes > bytes + 2 * HEAP_ROOM ? align_down(best, 4096) : 0;
}

static int map_arena(struct target *t, struct arena *a, uint64_t addr, uint64_t bytes, struct err *reterr)
{
	int fd = session_memfd("dyntrace-code", bytes), remote = -1;
	if (fd < 0)
		return err_setf(reterr, fd, "cannot make memory for code: %s", strerror(-fd));
	a->code = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int r = a->code == MAP_FAILED ? err_setf(reterr, -errno, "cannot map memory for code: %s", strerror(errno)) : 0;
	if (!r)
		r = inject_pass_fd(t->inj, fd, &remote, reterr);
	if (!r)
		r = inject_mmap(t->inj, addr, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, remote, 0, &a->addr, reterr);
	if (remote >= 0)
		inject_close_fd(t->inj, remote, NULL);
	close(fd);
	a->bytes = bytes;
	if (r && a->code != MAP_FAILED)
		munmap(a->code, bytes);
	return r;
}

struct arena *arena_note(struct target *t, const struct arena *a)
{
	struct arena **more = realloc(t->arenas, (t->arena_cnt + 1) * sizeof(*more));
	struct arena *copy = malloc(sizeof(*copy));
	t->arenas = more ? more : t->arenas;
	struct patch_range *code = realloc(t->code, (t->arena_cnt + 1) * sizeof(*code));
	t->code = code ? code : t->code;
	if (!more || !code || !copy) {
		free(copy);
		return NULL;
	}
	uint32_t i = t->arena_cnt++;
	more[i] = copy;
	*copy = *a;
	for (; i && code[i - 1].start > a->addr; i--)
		code[i] = code[i - 1];
	code[i] = (struct patch_range){ a->addr, a->addr + a->bytes };
	return copy;
}

static int compare_range(const void *key, const void *elem)
{
	const struct patch_range *r = elem;
	uint64_t addr = *(const uint64_t *)key;
	return addr < r->start ? -1 : addr >= r->end;
}

bool arena_has(const struct target *t, uint64_t addr)
{
	return t->arena_cnt && bsearch(&addr, t->code, t->arena_cnt, sizeof(*t->code), compare_range);
}

int arena_at(struct target *t, uint64_t addr, uint64_t bytes, struct arena **ret, struct err *reterr)
{
	struct arena a = { .promised = bytes };
	int r = map_arena(t, &a, addr, bytes, reterr);
	if (r)
		return r;
	*ret = arena_note(t, &a);
	if (*ret)
		return 0;
	inject_munmap(t->inj, a.addr, a.bytes, NULL);
	munmap(a.code, a.bytes);
	return err_setf(reterr, -ENOMEM, "out of memory");
}

/* Room for what neighbours want later, too; where there is little, only what is needed. */
static int map_near(struct target *t, uint64_t lo, uint64_t hi, uint64_t wanted, struct arena **ret, struct err *reterr)
{
	int r = obj_proc_refresh(t->obj, reterr);
	if (r)
		return r;
	uint64_t bytes, addr = find_gap(t->obj, bytes = align_up(wanted, 1u << 18), lo, hi);
	if (!addr)
		addr = find_gap(t->obj, bytes = align_up(wanted, 1u << 16), lo, hi);
	if (!addr)
		return err_setf(reterr, -ENOSPC, "no %llu KiB of unmapped memory within reach of the code at 0x%llx",
				(unsigned long long)(bytes >> 10), (unsigned long long)lo);
	return arena_at(t, addr, bytes, ret, reterr);
}

#define TRIES 5 /* where threads run on, one may take a place before we do */

int arena_get(struct target *t, uint64_t lo, uint64_t hi, uint64_t bytes, struct arena **ret, struct err *reterr)
{
	for (uint32_t i = 0; i < t->arena_cnt; i++) {
		struct arena *a = t->arenas[i];
		if (in_reach(a->addr, a->bytes, lo, hi) && a->bytes - a->promised >= bytes) {
			a->promised += bytes;
			*ret = a;
			return 0;
		}
	}
	int r = -EEXIST;
	for (int i = 0; i < TRIES && r == -EEXIST; i++)
		r = map_near(t, lo, hi, bytes, ret, reterr);
	if (!r)
		(*ret)->promised = bytes;
	return r;
}

void arena_release(struct arena *a)
{
	for (uint32_t i = 0; i < a->body_cnt; i++)
		free(a->bodies[i].progs);
	free(a->bodies);
	if (a->code)
		munmap(a->code, a->bytes);
	free(a);
}

static uint64_t hash_of(enum wire_site_kind kind, bool is_go, const uint32_t *progs, uint32_t cnt)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ kind ^ (uint64_t)is_go << 16;
	for (uint32_t i = 0; i < cnt; i++)
		h = (h ^ progs[i]) * 0x100000001b3ULL;
	return h;
}

static const struct body *find_body(const struct arena *a, uint64_t hash, enum wire_site_kind kind, bool is_go,
				    const uint32_t *progs, uint32_t cnt)
{
	for (uint32_t i = 0; i < a->body_cnt; i++) {
		const struct body *b = &a->bodies[i];
		if (b->hash == hash && b->kind == kind && b->is_go == is_go && b->prog_cnt == cnt &&
		    (!cnt || !memcmp(b->progs, progs, cnt * sizeof(*progs))))
			return b;
	}
	return NULL;
}

/* For free(); NULL: no memory. */
static const struct ir_prog **list_of(const struct target *t, const uint32_t *progs, uint32_t cnt)
{
	const struct ir_prog **list = calloc(cnt ? cnt : 1, sizeof(*list));
	for (uint32_t i = 0; list && i < cnt; i++)
		list[i] = &t->s->image->progs[progs[i]];
	return list;
}

static void set_env(struct target *t, bool is_go)
{
	/* Go's functions call each other for a while without a look at what is left of their small stacks. */
	t->env.own_stack = t->env.go_args = is_go;
	t->env.aggs = t->s->image->aggs; /* session_grow() gives another image */
	t->env.tid_off = target_proc(t)->tid_off;
}

static int64_t generate(struct target *t, struct arena *a, struct body *b, struct err *reterr)
{
	enum wire_site_kind kind = (enum wire_site_kind)b->kind;
	const uint32_t *progs = b->progs, cnt = b->prog_cnt;
	set_env(t, b->is_go);
	uint8_t *at = a->code + a->used;
	uint64_t addr = a->addr + a->used, room = a->bytes - a->used;
	if (kind == WIRE_SITE_HOOK)
		return jit_hook_body(&t->env, cnt ? (enum ir_helper)progs[0] : IR_HELPER_hook_dl, addr, at, room, reterr);
	if (kind == WIRE_SITE_GUARD)
		return jit_hook_body(&t->env, cnt ? (enum ir_helper)progs[0] : IR_HELPER_hook_guard, addr, at, room, reterr);
	const struct ir_prog **list = list_of(t, progs, cnt);
	if (!list)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int64_t n = jit_body(&t->env, kind, list, cnt, addr, at, room, reterr);
	b->filter_bytes = (uint8_t)jit_filter(&t->env, kind, list, cnt, b->filter);
	free(list);
	return n;
}

static int note_body(struct arena *a, const struct body *b, uint64_t bytes, struct err *reterr)
{
	struct body *more = realloc(a->bodies, (a->body_cnt + 1) * sizeof(*more));
	uint32_t *list = malloc((b->prog_cnt ? b->prog_cnt : 1) * sizeof(*list));
	if (more)
		a->bodies = more;
	if (!more || !list) {
		free(list);
		return err_setf(reterr, -ENOMEM, "out of memory");
	}
	if (b->prog_cnt)
		memcpy(list, b->progs, b->prog_cnt * sizeof(*list));
	more[a->body_cnt] = *b;
	more[a->body_cnt++].progs = list;
	a->used += bytes;
	return 0;
}

_Static_assert(JIT_FILTER_MAX == PATCH_FILTER_MAX, "copied");

#define KIND_EXTERN UINT8_MAX

int arena_hook(struct target *t, struct arena *a, uint64_t fn, uint64_t *ret_addr, struct err *reterr)
{
	uint32_t key[2] = { (uint32_t)fn, (uint32_t)(fn >> 32) };
	struct body b = { .hash = hash_of(KIND_EXTERN, false, key, 2), .progs = key, .prog_cnt = 2, .kind = KIND_EXTERN };
	const struct body *have = find_body(a, b.hash, KIND_EXTERN, false, key, 2);
	if (have) {
		*ret_addr = have->addr;
		return 0;
	}
	a->used = align_up(a->used, 64);
	b.addr = a->addr + a->used;
	int64_t n = jit_extern_body(&t->env, fn, b.addr, a->code + a->used, a->bytes - a->used, reterr);
	if (n < 0)
		return (int)n;
	*ret_addr = b.addr;
	return note_body(a, &b, (uint64_t)n, reterr);
}

static void give(const struct body *b, struct patch_anchor *ret)
{
	ret->body = b->addr;
	ret->filter_bytes = b->filter_bytes;
	memcpy(ret->filter, b->filter, b->filter_bytes);
}

int arena_body(struct target *t, struct arena *a, enum wire_site_kind kind, bool is_go, const uint32_t *progs,
	       uint32_t cnt, struct patch_anchor *ret, struct err *reterr)
{
	struct body b = { .hash = hash_of(kind, is_go, progs, cnt), .progs = (uint32_t *)progs, .prog_cnt = cnt, .kind = (uint8_t)kind,
			  .is_go = is_go };
	const struct body *have = find_body(a, b.hash, kind, is_go, progs, cnt);
	if (have) {
		give(have, ret);
		return 0;
	}
	a->used = align_up(a->used, 64);
	b.addr = a->addr + a->used;
	int64_t n = generate(t, a, &b, reterr);
	if (n < 0)
		return (int)n;
	give(&b, ret);
	return note_body(a, &b, (uint64_t)n, reterr);
}

int arena_spot(struct target *t, struct arena *a, enum wire_site_kind kind, const uint32_t *progs, uint32_t cnt,
	       const struct patch_anchor *an, uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr)
{
	uint8_t code[SPOT_BYTES];
	uint32_t hot = 0;
	struct patch_anchor called = { 0 };
	int r = t->env.geometry->rate_off ? arena_body(t, a, kind, false, progs, cnt, &called, reterr) : 0;
	if (r)
		return r;
	a->used = align_up(a->used, 16);
	struct jit_spot spot = { .site = an->site, .sp_adj = an->sp_adj - (an->dead & 1 ? 8 : 0), .dead = an->dead, .addr = addr,
				 .cold_addr = a->addr + a->used, .body = called.body };
	const struct ir_prog **list = list_of(t, progs, cnt);
	if (!list)
		return err_setf(reterr, -ENOMEM, "out of memory");
	set_env(t, false);
	int64_t n = jit_spot_body(&t->env, kind, list, cnt, &spot, code, sizeof(code), &hot, reterr);
	free(list);
	if (n == -ENOSPC || (n > 0 && (hot > cap || (uint64_t)n - hot > a->bytes - a->used)))
		return 0;
	if (n <= 0)
		return (int)n;
	memcpy(buf, code, hot);
	memcpy(a->code + a->used, code + hot, (size_t)n - hot);
	a->used += (uint64_t)n - hot;
	return (int)hot;
}

int arena_filter(struct target *t, enum wire_site_kind kind, const uint32_t *progs, uint32_t cnt, struct patch_anchor *ret,
		 struct err *reterr)
{
	const struct ir_prog **list = list_of(t, progs, cnt);
	if (!list)
		return err_setf(reterr, -ENOMEM, "out of memory");
	set_env(t, false);
	ret->filter_bytes = (uint8_t)jit_filter(&t->env, kind, list, cnt, ret->filter);
	free(list);
	return 0;
}

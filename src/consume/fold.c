/* SPDX-License-Identifier: MIT */
/*
 * Stacks in keys as they are folded (-x foldstacks): frames by their names.
 *
 * Samples hit a function at any of its instructions, and the same program runs
 * as several processes: such stacks print alike and are to be one key.  So the
 * addresses in a key are replaced by the numbers of their texts, which do not
 * say whose they are any more.
 */
#include "consume/consume_int.h"

#include "host/host.h"

#include <stdlib.h>
#include <string.h>

#define TAG_SHIFT 32
#define TAG 0x5f01dedULL /* of no address that a processor accepts */
#define NAME_MAX_BYTES 1024

struct fold {
	struct host_strmap numbers; /* of texts, from 1 */
	const char **names;         /* by number - 1; the map's */
	uint32_t cap;
	struct fold_seen {
		uint64_t pc;
		uint32_t of, pid; /* of: whose it is; 0: empty */
		uint64_t val;
	} seen[1024];
};
#define SEEN_CNT ARRAY_CNT(((struct fold *)0)->seen)

static bool room(struct fold *f)
{
	uint32_t cap = f->cap ? f->cap * 2 : 256;
	if (f->numbers.cnt < f->cap)
		return true;
	const char **names = realloc(f->names, cap * sizeof(*names));
	if (!names)
		return false;
	f->names = names;
	f->cap = cap;
	return true;
}

static uint64_t number_of(struct fold *f, const char *text, uint64_t pc)
{
	struct host_str *e = room(f) ? host_strmap_get(&f->numbers, text) : NULL;
	if (!e)
		return pc;
	if (!e->val) {
		e->val = f->numbers.cnt;
		f->names[e->val - 1] = e->key;
	}
	return TAG << TAG_SHIFT | (e->val - 1);
}

/* Numbers of processes are used again. */
static uint32_t pid_of(const struct consume *c, uint32_t proc)
{
	const struct wire_proc *procs = (const struct wire_proc *)((const uint8_t *)c->shm + c->geo.proc_off);
	return proc < c->geo.proc_cnt ? LOAD_RELAXED(&procs[proc].pid) : 0;
}

static uint64_t fold_pc(struct consume *c, uint32_t proc, bool is_kernel, uint64_t pc)
{
	uint32_t of = proc << 2 | (uint32_t)is_kernel << 1 | 1, pid = pid_of(c, proc);
	struct fold_seen *s = &c->fold->seen[((pc ^ (uint64_t)of << 48) * WIRE_MULT >> 40) % SEEN_CNT];
	char text[NAME_MAX_BYTES];
	if (s->pc == pc && s->of == of && s->pid == pid)
		return s->val;
	bool known = consume_sym_folded(c, proc, is_kernel, pc, text, sizeof(text));
	uint64_t val = number_of(c->fold, text, pc);
	if (known) /* else its library may be to come */
		*s = (struct fold_seen){ pc, of, pid, val };
	return val;
}

bool consume_fold_key(struct consume *c, const struct plan_val *v, uint32_t proc, uint8_t *key, uint32_t bytes)
{
	struct wire_vref ref;
	bool ended = false;
	memcpy(&ref, key + v->off, sizeof(ref));
	if (!c->opts.foldstacks || ref.off > bytes || ref.bytes > bytes - ref.off)
		return false;
	if (!c->fold && !(c->fold = calloc(1, sizeof(*c->fold))))
		return false;
	for (uint32_t i = 0; i + 8 <= ref.bytes; i += 8) {
		uint64_t pc;
		memcpy(&pc, key + ref.off + i, 8);
		ended |= !pc;
		pc = ended ? 0 : fold_pc(c, proc, v->is_kernel, pc);
		memcpy(key + ref.off + i, &pc, 8);
	}
	return true;
}

const char *consume_fold_text(const struct consume *c, uint64_t val)
{
	uint32_t i = (uint32_t)val;
	return c->fold && val >> TAG_SHIFT == TAG && i < c->fold->numbers.cnt ? c->fold->names[i] : NULL;
}

void consume_fold_deinit(struct consume *c)
{
	if (c->fold) {
		host_strmap_deinit(&c->fold->numbers);
		free(c->fold->names);
	}
	free(c->fold);
}

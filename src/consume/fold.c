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

#include <stdlib.h>
#include <string.h>

#define TAG_SHIFT 32
#define TAG 0x5f01dedULL /* of no address that a processor accepts */
#define NAME_MAX_BYTES 1024

struct fold {
	char **names;
	uint32_t cnt, cap;
	uint32_t *index; /* by the text's hash: number + 1, 0: empty */
	uint32_t index_cnt;
	struct fold_seen {
		uint64_t pc, of; /* of: whose it is; 0: empty */
		uint64_t val;
	} seen[1024];
};
#define SEEN_CNT ARRAY_CNT(((struct fold *)0)->seen)

static uint64_t hash_text(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

/* Where the text is, or would be. */
static uint32_t *place_of(const struct fold *f, const char *text)
{
	for (uint64_t h = hash_text(text);; h++) {
		uint32_t *p = &f->index[h & (f->index_cnt - 1)];
		if (!*p || !strcmp(f->names[*p - 1], text))
			return p;
	}
}

static bool grow(struct fold *f)
{
	uint32_t cap = f->cap ? f->cap * 2 : 256;
	char **names = realloc(f->names, cap * sizeof(*names));
	if (!names)
		return false;
	f->names = names;
	uint32_t *index = calloc(cap * 2ul, sizeof(*index));
	if (!index)
		return false;
	free(f->index);
	f->index = index;
	f->index_cnt = cap * 2;
	f->cap = cap;
	for (uint32_t i = 0; i < f->cnt; i++)
		*place_of(f, names[i]) = i + 1;
	return true;
}

static uint64_t number_of(struct fold *f, const char *text, uint64_t pc)
{
	if (f->cnt == f->cap && !grow(f))
		return pc;
	uint32_t *place = place_of(f, text);
	if (!*place) {
		char *copy = strdup(text);
		if (!copy)
			return pc;
		f->names[f->cnt++] = copy;
		*place = f->cnt;
	}
	return TAG << TAG_SHIFT | (*place - 1);
}

static uint64_t fold_pc(struct consume *c, uint32_t proc, bool is_kernel, uint64_t pc)
{
	uint64_t of = (uint64_t)proc << 2 | (uint64_t)is_kernel << 1 | 1;
	struct fold_seen *s = &c->fold->seen[((pc ^ of << 48) * WIRE_HASH_MULT >> 40) % SEEN_CNT];
	char text[NAME_MAX_BYTES];
	if (s->pc == pc && s->of == of)
		return s->val;
	consume_sym_folded(c, proc, is_kernel, pc, text, sizeof(text));
	*s = (struct fold_seen){ pc, of, number_of(c->fold, text, pc) };
	return s->val;
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
	return c->fold && val >> TAG_SHIFT == TAG && i < c->fold->cnt ? c->fold->names[i] : NULL;
}

void consume_fold_deinit(struct consume *c)
{
	for (uint32_t i = 0; c->fold && i < c->fold->cnt; i++)
		free(c->fold->names[i]);
	if (c->fold) {
		free(c->fold->names);
		free(c->fold->index);
	}
	free(c->fold);
}

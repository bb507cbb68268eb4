/* SPDX-License-Identifier: MIT */
/*
 * The long branches of a whole module, whose text may be a hundred megabytes: read and looked at piece by piece, so that each is
 * still in the processor's cache, and by all processors.
 */
#include "session/session_int.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (256u << 10)
#define BEFORE 64u /* bytes by which patch_text_mark() falls into step */
#define BEHIND 16u /* an instruction's */
#define PIECE_ROOM (BEFORE + PIECE + BEHIND)
#define WORTH (8u << 20) /* bytes of text for one more thread */
#define ARG_MAX_BYTES 128u

struct worker {
	const struct text_source *src;
	uint64_t from, to;
	uint64_t *seen;
	patch_wanted_fn *wanted;
	_Alignas(16) uint8_t arg[ARG_MAX_BYTES];
	uint8_t *buf; /* of a piece, where it has to be read */
};

static void mark(struct worker *w, const uint8_t *text, uint64_t at, uint64_t bytes, uint64_t from, uint64_t to)
{
	const struct text_source *s = w->src;
	patch_text_mark(text, bytes, from - at, to - at, s->start + at, s->start - 1, s->start + s->bytes, w->wanted, w->arg, w->seen);
}

static void mark_pieces(struct worker *w)
{
	const struct text_source *s = w->src;
	for (uint64_t from = w->from, to; from < w->to; from = to) {
		to = w->to - from < PIECE ? w->to : from + PIECE;
		uint64_t at = from < BEFORE ? 0 : from - BEFORE, end = s->bytes - to < BEHIND ? s->bytes : to + BEHIND;
		obj_proc_code(s->t->obj, s->start + at, w->buf, end - at);
		mark(w, w->buf, at, end - at, from, to);
	}
}

static void work(void *arg)
{
	struct worker *w = arg;
	if (w->src->text)
		mark(w, w->src->text, 0, w->src->bytes, w->from, w->to);
	else
		mark_pieces(w);
}

static int list(const struct text_source *s, const uint64_t *seen, uint64_t **ret, uint32_t *ret_cnt)
{
	uint32_t cap = 0, n = 1024;
	uint64_t *v = NULL;
	while (n > cap) {
		cap = n;
		free(v);
		v = malloc(cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		n = patch_text_list(seen, s->start - 1, s->start + s->bytes, v, cap);
	}
	*ret = v;
	*ret_cnt = n;
	return 0;
}

int text_scan(const struct text_source *s, patch_wanted_fn *wanted, const void *arg, size_t arg_bytes, uint64_t **ret, uint32_t *ret_cnt)
{
	struct worker w[CREW_MAX];
	uint64_t bits_bytes = (s->bytes / 64 + 2) * sizeof(uint64_t);
	uint64_t *seen = host_big_alloc(bits_bytes); /* thousands jump to some of them */
	uint32_t most = (uint32_t)(s->bytes / WORTH) + 1, cnt = crew_size() < most ? crew_size() : most;
	uint8_t *bufs = s->text ? NULL : malloc(cnt * PIECE_ROOM);
	bool ok = seen && (bufs || s->text);
	assert(arg_bytes <= ARG_MAX_BYTES);
	for (uint32_t i = 0; i < cnt && ok; i++) {
		w[i] = (struct worker){ .src = s, .from = s->bytes * i / cnt, .to = s->bytes * (i + 1) / cnt, .seen = seen, .wanted = wanted,
					.buf = bufs ? bufs + i * PIECE_ROOM : NULL };
		if (arg)
			memcpy(w[i].arg, arg, arg_bytes);
	}
	if (ok)
		crew_run(work, w, sizeof(w[0]), cnt);
	int r = ok ? list(s, seen, ret, ret_cnt) : -ENOMEM;
	free(bufs);
	host_big_free(seen, bits_bytes);
	return r;
}

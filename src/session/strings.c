/* SPDX-License-Identifier: MIT */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An open hash table of offsets into the shared strings. */
struct intern {
	struct wire_shm *shm;
	uint32_t *slots; /* offset + 1 */
	uint32_t cap, cnt;
};

static struct wire_str *str_at(const struct intern *in, uint32_t off)
{
	return (struct wire_str *)((uint8_t *)in->shm + in->shm->str_off + off);
}

static uint64_t hash_of(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3ULL;
	return h ^ (h >> 31);
}

static uint32_t *find(const struct intern *in, const char *s, size_t len)
{
	uint64_t i = hash_of(s, len) & (in->cap - 1);
	for (;; i = (i + 1) & (in->cap - 1)) {
		uint32_t *slot = &in->slots[i];
		if (!*slot)
			return slot;
		const struct wire_str *have = str_at(in, *slot - 1);
		if (have->len == len && !memcmp(have->s, s, len))
			return slot;
	}
}

static bool grow(struct intern *in)
{
	struct intern bigger = { .shm = in->shm, .cap = in->cap ? in->cap * 2 : 1024, .cnt = in->cnt };
	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (uint32_t i = 0; i < in->cap; i++) {
		if (!in->slots[i])
			continue;
		const struct wire_str *s = str_at(in, in->slots[i] - 1);
		*find(&bigger, s->s, s->len) = in->slots[i];
	}
	free(in->slots);
	*in = bigger;
	return true;
}

/* The image's own strings take part: @[probefunc] and @["main"] mean the same key. */
static int add_constants(struct intern *in, uint32_t off, uint32_t end)
{
	while (off < end) {
		const struct wire_str *s = str_at(in, off);
		if (in->cnt * 2 >= in->cap && !grow(in))
			return -ENOMEM;
		uint32_t *slot = find(in, s->s, s->len);
		if (!*slot) {
			*slot = off + 1;
			in->cnt++;
		}
		off += wire_str_bytes(s->len);
	}
	return 0;
}

struct intern *intern_create(struct wire_shm *shm, const struct ir_image *image)
{
	struct intern *in = calloc(1, sizeof(*in));
	if (!in)
		return NULL;
	in->shm = shm;
	shm->str_bytes = image->str_bytes;
	memcpy((uint8_t *)shm + shm->str_off, image->strs, image->str_bytes);
	if (add_constants(in, 0, image->str_bytes)) {
		intern_destroy(in);
		return NULL;
	}
	return in;
}

int intern_reserve(struct intern *in, uint32_t bytes)
{
	if (in->shm->str_bytes + bytes > in->shm->str_cap)
		return -ENOSPC;
	in->shm->str_bytes += bytes;
	return 0;
}

int intern_grow(struct intern *in, const struct ir_image *image, uint32_t first, uint32_t reserved)
{
	if (image->str_bytes - first > reserved)
		return -ENOSPC;
	memcpy(str_at(in, first), image->strs + first, image->str_bytes - first);
	return add_constants(in, first, image->str_bytes);
}

void intern_destroy(struct intern *in)
{
	if (!in)
		return;
	free(in->slots);
	free(in);
}

uint32_t intern_bytes(struct intern *in, const void *data, uint32_t bytes)
{
	struct wire_shm *shm = in->shm;
	uint32_t off = (uint32_t)shm->str_bytes;
	if (shm->str_bytes + align_up(bytes, 8) > shm->str_cap)
		return WIRE_NONE;
	memcpy(str_at(in, off), data, bytes);
	shm->str_bytes += align_up(bytes, 8);
	return off;
}

uint32_t intern_add(struct intern *in, const char *s)
{
	struct wire_shm *shm = in->shm;
	size_t len = strlen(s);
	if (in->cnt * 2 >= in->cap && !grow(in))
		return WIRE_NONE;
	uint32_t *slot = find(in, s, len);
	if (*slot)
		return *slot - 1;
	uint32_t bytes = wire_str_bytes((uint32_t)len);
	if (shm->str_bytes + bytes > shm->str_cap)
		return WIRE_NONE;
	uint32_t off = (uint32_t)shm->str_bytes;
	struct wire_str *to = str_at(in, off);
	to->len = (uint32_t)len;
	memcpy(to->s, s, len + 1);
	shm->str_bytes += bytes;
	*slot = off + 1;
	in->cnt++;
	return off;
}

/* SPDX-License-Identifier: MIT */
#include "session/session_int.h"

#include "host/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECENT 32u

struct slot {
	uint32_t off;  /* + 1; 0: none */
	uint32_t hash; /* of it, so that few others are looked at */
};

/* An open hash table of offsets into the shared strings. */
struct intern {
	struct wire_shm *shm;
	struct slot *slots;
	uint32_t cap, cnt;
	uint32_t recent[RECENT]; /* by length, + 1: providers, modules and names of probes are those of the one before */
};

static struct wire_str *str_at(const struct intern *in, uint32_t off)
{
	return (struct wire_str *)((uint8_t *)in->shm + in->shm->str_off + off);
}

static bool is_at(const struct intern *in, uint32_t off, const char *s, size_t len)
{
	const struct wire_str *have = str_at(in, off);
	return have->len == len && !memcmp(have->s, s, len);
}

static struct slot *find(const struct intern *in, uint32_t hash, const char *s, size_t len)
{
	for (uint32_t i = hash & (in->cap - 1);; i = (i + 1) & (in->cap - 1)) {
		struct slot *slot = &in->slots[i];
		if (!slot->off || (slot->hash == hash && is_at(in, slot->off - 1, s, len)))
			return slot;
	}
}

static void put(struct intern *in, struct slot what)
{
	uint32_t i = what.hash & (in->cap - 1);
	while (in->slots[i].off)
		i = (i + 1) & (in->cap - 1);
	in->slots[i] = what;
}

static bool grow(struct intern *in)
{
	struct intern bigger = *in;
	bigger.cap = in->cap ? in->cap * 4 : 1024;
	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (uint32_t i = 0; i < in->cap; i++)
		if (in->slots[i].off)
			put(&bigger, in->slots[i]);
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
		uint32_t hash = (uint32_t)host_hash(0, s->s, s->len);
		struct slot *slot = find(in, hash, s->s, s->len);
		if (!slot->off) {
			*slot = (struct slot){ off + 1, hash };
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

static uint32_t add(struct intern *in, const char *s, size_t len)
{
	struct wire_shm *shm = in->shm;
	uint32_t hash = (uint32_t)host_hash(0, s, len);
	if (in->cnt * 2 >= in->cap && !grow(in))
		return WIRE_NONE;
	struct slot *slot = find(in, hash, s, len);
	if (slot->off)
		return slot->off - 1;
	uint32_t bytes = wire_str_bytes((uint32_t)len);
	if (shm->str_bytes + bytes > shm->str_cap)
		return WIRE_NONE;
	uint32_t off = (uint32_t)shm->str_bytes;
	struct wire_str *to = str_at(in, off);
	to->len = (uint32_t)len;
	memcpy(to->s, s, len + 1);
	shm->str_bytes += bytes;
	*slot = (struct slot){ off + 1, hash };
	in->cnt++;
	return off;
}

uint32_t intern_add(struct intern *in, const char *s)
{
	size_t len = strlen(s);
	if (len >= RECENT)
		return add(in, s, len);
	if (!in->recent[len] || !is_at(in, in->recent[len] - 1, s, len)) {
		uint32_t off = add(in, s, len);
		in->recent[len] = off == WIRE_NONE ? 0 : off + 1;
	}
	return in->recent[len] ? in->recent[len] - 1 : WIRE_NONE;
}

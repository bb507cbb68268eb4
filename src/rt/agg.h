/* SPDX-License-Identifier: MIT */
/*
 * Aggregations of one thread, for rt and for the generator of code that finds
 * values by itself: an index of 32-bit places, then an arena of entries that
 * are never moved.
 *
 *   geom.agg_off:  uint32_t index[index_cnt]   arena offset / 8 + 1; 0: empty
 *   + arena_off:   struct rt_agg_entry, key, value words
 *
 * The first place to look at is the low bits of the key's hash.
 */
#ifndef RT_AGG_H
#define RT_AGG_H

#include "wire/wire.h"

struct rt_agg_entry {
	uint32_t agg;
	uint32_t gen;
	uint32_t hash;
	uint32_t key_bytes;
	uint32_t val_cnt;
	uint32_t pad;
	uint8_t key[]; /* key_bytes, a multiple of 8; then the value */
};

#define RT_AGG_ARENA_MAX (1ULL << 35) /* places are 32-bit counts of words */

struct rt_agg_table {
	uint64_t index_cnt; /* a power of two; 0: too little memory for one */
	uint64_t arena_off, arena_bytes; /* from the index */
};

/* A place for 24 to 48 bytes: the arena is full of the smallest entries before the index is. */
static inline struct rt_agg_table rt_agg_table(const struct wire_thread_geom *geom)
{
	uint64_t bytes = geom->agg_bytes;
	if (bytes < 1024)
		return (struct rt_agg_table){ 0, 0, 0 };
	uint64_t cnt = 1ULL << (63 - __builtin_clzll(bytes / 24));
	uint64_t off = align_up(cnt * sizeof(uint32_t), 8), arena = bytes - off;
	return (struct rt_agg_table){ cnt, off, arena < RT_AGG_ARENA_MAX ? arena : RT_AGG_ARENA_MAX };
}

/* The hash of a key of whole words: from seed, each line of eight words, then each word that is left in turn, then the
 * end.  A line is four parts beside each other, for a multiplication waits for the one before it. */
#define RT_AGG_HASH_MULT 0xff51afd7ed558ccdULL
#define RT_AGG_HASH_WORD_SHIFT 32
#define RT_AGG_HASH_END_SHIFT 29
#define RT_AGG_LINE_WORDS 8u
static inline uint64_t rt_agg_hash_word(uint64_t h, uint64_t word)
{
	h = (h ^ word) * RT_AGG_HASH_MULT;
	return h ^ h >> RT_AGG_HASH_WORD_SHIFT;
}
static inline uint64_t rt_agg_hash_parts(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return a ^ (b << 17 | b >> 47) ^ (c << 31 | c >> 33) ^ (d << 47 | d >> 17);
}
/* @word(i): the line's words. */
#define RT_AGG_HASH_TWO(h, i, word) rt_agg_hash_word(rt_agg_hash_word((h) + (i), word(i)), word((i) + 4))
#define RT_AGG_HASH_LINE(h, word) rt_agg_hash_parts(RT_AGG_HASH_TWO(h, 0, word), RT_AGG_HASH_TWO(h, 1, word), \
						    RT_AGG_HASH_TWO(h, 2, word), RT_AGG_HASH_TWO(h, 3, word))
static inline uint64_t rt_agg_hash_seed(uint64_t agg, uint64_t key_bytes)
{
	return agg ^ (key_bytes * 0x9e3779b97f4a7c15ULL);
}

#endif

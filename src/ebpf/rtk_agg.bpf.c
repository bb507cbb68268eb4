/* SPDX-License-Identifier: MIT */
/* Aggregations of one CPU, in the table that rt/agg.c describes. */
#include "ebpf/rtk_bpf.h"
#include "rt/agg.h"

struct entry {
	uint32_t agg;
	uint32_t gen;
	uint32_t hash;
	uint32_t key_bytes;
	uint32_t val_cnt;
	uint32_t pad;
};

#define LOOK_MAX 128
#define LOOK_STEPS 16 /* of one call */

INLINE uint64_t agg_of(uint64_t id)
{
	return K(AGG_DESC) + id * sizeof(struct wire_agg);
}
#define DESC(id, field) (agg_of(id) + offsetof(struct wire_agg, field))

/*
 * Keys go by lines of eight words, each a call of a function that is verified once, then by what is left: a loop over
 * all words of a long key would be followed word by word.
 */
#define LINE_WORDS RT_AGG_LINE_WORDS
#define LINE (8 * LINE_WORDS)

GLOBAL uint64_t rtk_hash_line(uint64_t h, uint64_t key)
{
	volatile uint64_t *p = at(key);
#define WORD(i) p[i]
	return RT_AGG_HASH_LINE(h, WORD);
#undef WORD
}

/* As mem_hash() of rt: whole words only. */
GLOBAL uint64_t rtk_hash(uint64_t seed, uint64_t key, uint64_t bytes)
{
	uint64_t h = rt_agg_hash_seed(seed, bytes), left = bytes;
	for (uint64_t i = 0; i < K(KEY_WORDS) / LINE_WORDS && left >= LINE; i++, left -= LINE, key += LINE)
		h = rtk_hash_line(h, key);
	volatile uint64_t *p = at(key);
	for (uint64_t i = 0; i < LINE_WORDS - 1 && 8 * i < left; i++)
		h = rt_agg_hash_word(h, p[i]);
	return h ^ h >> RT_AGG_HASH_END_SHIFT;
}

GLOBAL uint64_t rtk_same_line(uint64_t a, uint64_t b)
{
	volatile uint64_t *p = at(a), *q = at(b);
	uint64_t differs = 0;
	for (uint32_t i = 0; i < LINE_WORDS; i++)
		differs |= p[i] ^ q[i];
	return !differs;
}

/* Whether two keys are the same. */
GLOBAL uint64_t rtk_same(uint64_t a, uint64_t b, uint64_t bytes)
{
	for (uint64_t i = 0; i < K(KEY_WORDS) / LINE_WORDS && bytes >= LINE; i++, bytes -= LINE, a += LINE, b += LINE)
		if (!rtk_same_line(a, b))
			return 0;
	volatile uint64_t *p = at(a), *q = at(b);
	for (uint64_t i = 0; i < LINE_WORDS - 1 && 8 * i < bytes; i++)
		if (p[i] != q[i])
			return 0;
	return 1;
}

GLOBAL uint64_t rtk_val_reset(uint64_t id, uint64_t val)
{
	uint32_t fn = ld32(DESC(id, fn)), cnt = ld32(DESC(id, val_cnt));
	uint64_t first = fn == WIRE_AGG_MIN ? INT64_MAX : fn == WIRE_AGG_MAX ? (uint64_t)INT64_MIN : 0;
	volatile uint64_t *p = at(val);
	for (uint64_t i = 0; i < K(VAL_WORDS) && i < cnt; i++)
		p[i] = 0;
	p[0] = first;
	return 0;
}

/* A new entry, not in the index yet: its offset or 0. */
GLOBAL uint64_t rtk_agg_make(uint64_t ctx, uint64_t id, uint64_t key, uint64_t key_bytes, uint64_t hash)
{
	uint64_t thr = ctx_at(ctx)->thr, arena = thr + K(AGG) + K(AGG_ARENA);
	uint64_t used = thr + offsetof(struct wire_thread, agg_used), cnt = thr + offsetof(struct wire_thread, agg_cnt);
	uint64_t val_cnt = ld32(DESC(id, val_cnt)), need = sizeof(struct entry) + key_bytes + 8 * val_cnt;
	if (K(AGG_MAX) && ld64(cnt) - ld64(thr + offsetof(struct wire_thread, agg_read)) >= K(AGG_MAX))
		return 0;
	if (ld64(used) + need > K(AGG_ARENA_BYTES))
		return 0;
	uint64_t e = __sync_fetch_and_add((uint64_t *)at8(used), need);
	if (e + need > K(AGG_ARENA_BYTES))
		return 0;
	e += arena;
	struct entry *p = at(e);
	p->agg = (uint32_t)id;
	p->gen = ld32(DESC(id, gen));
	p->hash = (uint32_t)hash;
	p->key_bytes = (uint32_t)key_bytes;
	p->val_cnt = (uint32_t)val_cnt;
	p->pad = 0;
	copy(e + sizeof(struct entry), key, key_bytes);
	rtk_val_reset(id, e + sizeof(struct entry) + key_bytes);
	add_here(cnt, 1);
	return e;
}

INLINE bool entry_is(uint64_t e, uint32_t id, uint32_t hash, uint64_t key, uint32_t key_bytes)
{
	struct entry *p = at(e);
	return p->hash == hash && p->agg == id && p->key_bytes == key_bytes &&
	       (!key_bytes || rtk_same(e + sizeof(struct entry), key, key_bytes));
}

#define NOT_HERE 0ULL
#define FULL 1ULL

/* The entry if it is, or can be put, at one place of the index; or one of the two above.  A new one that did not find
 * its place at once is kept in the context's cell. */
GLOBAL uint64_t rtk_agg_look(uint64_t ctx, uint64_t id_hash, uint64_t key, uint64_t key_bytes, uint64_t i)
{
	uint64_t index = ctx_at(ctx)->thr + K(AGG), arena = index + K(AGG_ARENA), id = id_hash >> 32;
	uint32_t hash = (uint32_t)id_hash;
	uint64_t slot = index + 4 * ((hash + i) & (K(AGG_INDEX_CNT) - 1));
	uint32_t place = ld32(slot);
	volatile uint64_t *fresh = cells(ctx);
	if (!place) {
		if (!*fresh)
			*fresh = rtk_agg_make(ctx, id, key, key_bytes, hash);
		if (!*fresh)
			return FULL;
		place = cas32(slot, 0, (uint32_t)((*fresh - arena) / 8 + 1));
		if (!place)
			return *fresh;
	}
	uint64_t e = arena + (uint64_t)(place - 1) * 8;
	return entry_is(e, (uint32_t)id, hash, key, (uint32_t)key_bytes) ? e : NOT_HERE;
}

/* Likewise of some places in a row. */
GLOBAL uint64_t rtk_agg_looks(uint64_t ctx, uint64_t id_hash, uint64_t key, uint64_t key_bytes, uint64_t first)
{
	for (uint64_t i = 0; i < LOOK_STEPS; i++) {
		uint64_t e = rtk_agg_look(ctx, id_hash, key, key_bytes, first + i);
		if (e != NOT_HERE)
			return e;
	}
	return NOT_HERE;
}

/* The entry for a key: its offset or 0. */
GLOBAL uint64_t rtk_agg_find(uint64_t ctx, uint64_t id, uint64_t key, uint64_t key_bytes)
{
	uint64_t id_hash = id << 32 | (uint32_t)rtk_hash(id, key, key_bytes);
	*cells(ctx) = 0;
	for (uint64_t i = 0; i < LOOK_MAX && i < K(AGG_INDEX_CNT); i += LOOK_STEPS) {
		uint64_t e = rtk_agg_looks(ctx, id_hash, key, key_bytes, i);
		if (e != NOT_HERE)
			return e == FULL ? 0 : e;
	}
	return 0;
}

INLINE uint64_t log2_of(uint64_t v)
{
	uint64_t log = 0;
	if (v >> 32) { log += 32; v >>= 32; }
	if (v >> 16) { log += 16; v >>= 16; }
	if (v >> 8) { log += 8; v >>= 8; }
	if (v >> 4) { log += 4; v >>= 4; }
	if (v >> 2) { log += 2; v >>= 2; }
	return log + (v >> 1);
}

INLINE uint64_t quantize_bucket(int64_t v)
{
	if (!v)
		return WIRE_QUANTIZE_ZERO;
	uint64_t log = log2_of(v < 0 ? -(uint64_t)v : (uint64_t)v);
	if (v < 0)
		return log >= WIRE_QUANTIZE_ZERO ? 0 : WIRE_QUANTIZE_ZERO - 1 - log;
	return WIRE_QUANTIZE_ZERO + 1 + log;
}

INLINE uint64_t lquantize_bucket(uint64_t id, int64_t v)
{
	int64_t base = (int64_t)ld64(DESC(id, base)), limit = (int64_t)ld64(DESC(id, limit));
	if (v < base)
		return 0;
	if (v >= limit)
		return ld32(DESC(id, val_cnt)) - 1;
	return 1 + ((uint64_t)v - (uint64_t)base) / ld64(DESC(id, step));
}

/* Distance from the middle bucket, as llq_distance() of rt. */
GLOBAL uint64_t rtk_llq_distance(uint64_t id, uint64_t abs)
{
	uint64_t steps = ld32(DESC(id, ll_steps)), factor = ld32(DESC(id, ll_factor)), per = steps / factor, power = 1;
	uint64_t low = ld32(DESC(id, ll_low)), high = ld32(DESC(id, ll_high)), first = 1;
	for (uint64_t mag = 0; mag < K(LLQ_STEPS) && mag < low; mag++)
		power *= factor;
	if (abs < power)
		return 0;
	for (uint64_t n = 0; n < K(LLQ_STEPS) && low + n <= high; n++) {
		uint64_t next = power * factor;
		if (abs < next) {
			if (!(low + n) && steps > factor)
				return first + (abs - 1) * per;
			if (next >= steps)
				return first + abs / (next / steps) - per;
			return first + abs * steps / next - per;
		}
		power = next;
		first += steps - per;
	}
	return first;
}

INLINE uint64_t llq_bucket(uint64_t id, int64_t v)
{
	uint64_t steps = ld32(DESC(id, ll_steps)), per = steps / ld32(DESC(id, ll_factor));
	uint64_t mid = 1 + (uint64_t)(ld32(DESC(id, ll_high)) - ld32(DESC(id, ll_low)) + 1) * (steps - per);
	uint64_t dist = rtk_llq_distance(id, v < 0 ? -(uint64_t)v : (uint64_t)v);
	if (dist > mid)
		dist = mid;
	return v < 0 ? mid - dist : mid + dist;
}

/* High half of the product of two numbers. */
INLINE uint64_t mul_high(uint64_t a, uint64_t b)
{
	uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
	uint64_t mid = ah * bl + (al * bl >> 32), mid2 = al * bh + (uint32_t)mid;
	return ah * bh + (mid >> 32) + (mid2 >> 32);
}

INLINE void add_squares(uint64_t val, int64_t v, uint64_t cnt)
{
	uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v, square = abs * abs, lo = square * cnt;
	uint64_t high = mul_high(abs, abs) * cnt + mul_high(square, cnt);
	uint64_t old = __sync_fetch_and_add((uint64_t *)at8(val), lo);
	add_here(val + 8, high + (old + lo < old));
}

INLINE void keep_extreme(uint64_t val, int64_t v, bool min)
{
	for (int i = 0; i < 8; i++) {
		int64_t old = (int64_t)ld64(val);
		if (min ? v >= old : v <= old)
			return;
		if (cas64(val, (uint64_t)old, (uint64_t)v) == (uint64_t)old)
			return;
	}
}

/* Where the value of a key stands, fit for adding to; 0: no room (counted). */
GLOBAL uint64_t rtk_agg_val(uint64_t ctx, uint64_t id, uint64_t slot)
{
	uint64_t key = 0, bytes = 0;
	if (slot != WIRE_NONE) {
		uint64_t tuple = scratch(ctx, slot);
		bytes = ld32(tuple);
		key = tuple + sizeof(struct wire_tuple);
	}
	uint64_t e = rtk_agg_find(ctx, id, key, bytes);
	if (!e) {
		add_here(ctx_at(ctx)->thr + offsetof(struct wire_thread, agg_drops), 1);
		return 0;
	}
	struct entry *p = at(e);
	uint32_t gen = ld32(DESC(id, gen));
	if (p->gen != gen) {
		rtk_val_reset(id, e + sizeof(struct entry) + bytes);
		p->gen = gen;
	}
	return e + sizeof(struct entry) + bytes;
}

/* One function for each function of aggregations: (context, id, slot of the key or WIRE_NONE, value, weight). */

GLOBAL uint64_t rtk_agg_count(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = slot == WIRE_NONE ? ctx_at(ctx)->thr + K(COUNTS) + 8 * id : rtk_agg_val(ctx, id, slot);
	if (val)
		add_here(val, weight);
	return v & 0;
}

GLOBAL uint64_t rtk_agg_sum(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val)
		add_here(val, v * weight);
	return 0;
}

GLOBAL uint64_t rtk_agg_min(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val)
		keep_extreme(val, (int64_t)v, true);
	return weight & 0;
}

GLOBAL uint64_t rtk_agg_max(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val)
		keep_extreme(val, (int64_t)v, false);
	return weight & 0;
}

GLOBAL uint64_t rtk_agg_avg(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val) {
		add_here(val, weight);
		add_here(val + 8, v * weight);
	}
	return 0;
}

GLOBAL uint64_t rtk_agg_stddev(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val) {
		add_here(val, weight);
		add_here(val + 8, v * weight);
		add_squares(val + 16, (int64_t)v, weight);
	}
	return 0;
}

GLOBAL uint64_t rtk_agg_quantize(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val)
		add_here(val + 8 * quantize_bucket((int64_t)v), weight);
	return 0;
}

GLOBAL uint64_t rtk_agg_lquantize(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val)
		add_here(val + 8 * lquantize_bucket(id, (int64_t)v), weight);
	return 0;
}

GLOBAL uint64_t rtk_agg_llquantize(uint64_t ctx, uint64_t id, uint64_t slot, uint64_t v, uint64_t weight)
{
	uint64_t val = rtk_agg_val(ctx, id, slot);
	if (val)
		add_here(val + 8 * llq_bucket(id, (int64_t)v), weight);
	return 0;
}

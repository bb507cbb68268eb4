/* SPDX-License-Identifier: MIT */
/* Speculations, addresses of networks, what changes processes. */
#include "ebpf/rtk_bpf.h"

/* ---- speculations, as rt/spec.c ---- */

#define SPEC(id, field) (K(SPEC) + ((id) - 1) * sizeof(struct wire_spec) + offsetof(struct wire_spec, field))
#define SHM(field) offsetof(struct wire_shm, field)

INLINE bool spec_there(uint64_t id)
{
	return id && id <= K(SPEC_CNT);
}

INLINE void count_lost(uint64_t counter)
{
	__sync_fetch_and_add((uint32_t *)at4(counter), 1);
}

/* The state of one, by an address that was clamped before a loop. */
INLINE bool spec_take(struct wire_spec *s)
{
	return s->state == WIRE_SPEC_FREE && __sync_val_compare_and_swap(&s->state, WIRE_SPEC_FREE, WIRE_SPEC_ACTIVE) == WIRE_SPEC_FREE;
}

INLINE bool spec_change(uint64_t id, uint32_t from, uint32_t to)
{
	return ld32(SPEC(id, state)) == from && cas32(SPEC(id, state), from, to) == from;
}

GLOBAL uint64_t rtk_speculation(uint64_t ctx)
{
	volatile uint64_t *busy = cells(ctx);
	struct wire_spec *specs = at8(K(SPEC));
	*busy = 0;
	for (uint64_t i = 0; i < 1024 && i < K(SPEC_CNT); i++) {
		if (spec_take(&specs[i]))
			return i + 1;
		*busy |= specs[i].state > WIRE_SPEC_ACTIVE;
	}
	count_lost(*busy ? SHM(spec_busy) : SHM(spec_unavail));
	return 0;
}

GLOBAL uint64_t rtk_speculate(uint64_t ctx, uint64_t id, uint64_t bytes)
{
	uint64_t rec = ctx_at(ctx)->rec;
	if (spec_there(id) && ld32(SPEC(id, state)) == WIRE_SPEC_ACTIVE) {
		if (ld64(SPEC(id, bytes)) + bytes <= K(SPEC_BYTES))
			return WIRE_SPEC_TOKEN(id, ld32(SPEC(id, gen)));
		count_lost(SHM(spec_drops));
	}
	if (rec)
		((struct wire_rec *)at(rec))->type = WIRE_REC_VOID;
	return 0;
}

INLINE uint64_t spec_end(uint64_t ctx, uint64_t id, uint32_t state)
{
	if (id > K(SPEC_CNT))
		set_fault(ctx, WIRE_FAULT_ILLOP, id);
	if (!spec_there(id) || !spec_change(id, WIRE_SPEC_ACTIVE, WIRE_SPEC_ENDING))
		return 0;
	uint64_t token = WIRE_SPEC_TOKEN(id, ld32(SPEC(id, gen)));
	st64(SPEC(id, end_tsc), rtk_fired(ctx));
	st32(SPEC(id, state), state);
	return token;
}

GLOBAL uint64_t rtk_commit(uint64_t ctx, uint64_t id)
{
	return spec_end(ctx, id, WIRE_SPEC_COMMIT);
}

GLOBAL uint64_t rtk_discard(uint64_t ctx, uint64_t id)
{
	return spec_end(ctx, id, WIRE_SPEC_DISCARD);
}

/* ---- networks, as rt/net.c: characters go one by one behind the frames of stacks, which nobody needs meanwhile: a
 * string slot may be shorter ---- */

INLINE uint64_t draft(uint64_t ctx)
{
	return ctx + MORE(frames);
}

INLINE uint64_t put_char(uint64_t s, uint64_t len, uint8_t c)
{
	st8(s + len, c);
	return len + 1;
}

INLINE uint8_t hex(uint64_t digit)
{
	return (uint8_t)(digit < 10 ? '0' + digit : 'a' + digit - 10);
}

GLOBAL uint64_t rtk_put_byte(uint64_t s, uint64_t len, uint64_t v)
{
	v &= 255;
	if (v >= 100)
		len = put_char(s, len, (uint8_t)('0' + v / 100));
	if (v >= 10)
		len = put_char(s, len, (uint8_t)('0' + v / 10 % 10));
	return put_char(s, len, (uint8_t)('0' + v % 10));
}

GLOBAL uint64_t rtk_put_ip4(uint64_t s, uint64_t len, uint64_t b)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			len = put_char(s, len, '.');
		len = rtk_put_byte(s, len, ld8(b + i));
	}
	return len;
}

GLOBAL uint64_t rtk_put_group(uint64_t s, uint64_t len, uint64_t v)
{
	if (v >> 12)
		len = put_char(s, len, hex(v >> 12 & 15));
	if (v >> 8)
		len = put_char(s, len, hex(v >> 8 & 15));
	if (v >> 4)
		len = put_char(s, len, hex(v >> 4 & 15));
	return put_char(s, len, hex(v & 15));
}

INLINE uint64_t ip6_group(uint64_t b, uint64_t i)
{
	return (uint64_t)ld8(b + 2 * i) << 8 | ld8(b + 2 * i + 1);
}

/* The first of the longest runs of zero groups that are two or more: start and length, in one word. */
GLOBAL uint64_t rtk_zero_run(uint64_t ctx, uint64_t b)
{
	volatile uint64_t *n = cells(ctx), *best = n + 1, *cnt = n + 2;
	*n = 0;
	*best = 8;
	*cnt = 1;
	for (uint64_t i = 0; i < 8; i++) {
		*n = ip6_group(b, i) ? 0 : *n + 1;
		if (*n > *cnt) {
			*cnt = *n;
			*best = i + 1 - *n;
		}
	}
	return *best << 32 | *cnt;
}

GLOBAL uint64_t rtk_put_ip6(uint64_t ctx, uint64_t s, uint64_t b, uint64_t strict)
{
	uint64_t zeros = rtk_zero_run(ctx, b), run = zeros >> 32, cnt = (uint32_t)zeros, len = 0;
	bool ip4 = !run && (cnt == 6 || (cnt == 5 && ip6_group(b, 5) == 0xffff));
	if (ip4 && !strict)
		return rtk_put_ip4(s, 0, b + 12);
	for (uint64_t i = 0; i < 8; i++) {
		if (ip4 && i >= 6)
			break;
		if (i > run && i < run + cnt) {
			if (i == 7)
				len = put_char(s, len, ':');
			continue;
		}
		if (i || i == run)
			len = put_char(s, len, ':');
		if (i != run)
			len = rtk_put_group(s, len, ip6_group(b, i));
	}
	if (!ip4)
		return len;
	len = put_char(s, len, ':');
	return rtk_put_ip4(s, len, b + 12);
}

INLINE bool read_bytes(uint64_t ctx, uint64_t dst, uint64_t addr, uint64_t cnt)
{
	if (addr && !rtk_read(ctx, dst, addr, cnt))
		return true;
	set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return false;
}

/* Of @len characters as many as a string may have. */
INLINE uint64_t finish(uint64_t ctx, uint64_t dst, uint64_t len)
{
	return str_put(ctx, dst, draft(ctx), len);
}

GLOBAL uint64_t rtk_inet_ntoa(uint64_t ctx, uint64_t addr, uint64_t dst)
{
	uint64_t b = buffer(ctx), len = 0;
	if (read_bytes(ctx, b, addr, 4))
		len = rtk_put_ip4(draft(ctx), 0, b);
	return finish(ctx, dst, len);
}

GLOBAL uint64_t rtk_inet_ntoa6(uint64_t ctx, uint64_t addr, uint64_t strict, uint64_t dst)
{
	uint64_t b = buffer(ctx), len = 0;
	if (read_bytes(ctx, b, addr, 16))
		len = rtk_put_ip6(ctx, draft(ctx), b, strict);
	return finish(ctx, dst, len);
}

GLOBAL uint64_t rtk_inet_ntop(uint64_t ctx, uint64_t family, uint64_t addr, uint64_t dst)
{
	if ((uint32_t)family == 2)
		return rtk_inet_ntoa(ctx, addr, dst);
	if ((uint32_t)family == 10)
		return rtk_inet_ntoa6(ctx, addr, 1, dst);
	set_fault(ctx, WIRE_FAULT_ILLOP, family);
	return 0;
}

GLOBAL uint64_t rtk_link_ntop(uint64_t ctx, uint64_t type, uint64_t addr, uint64_t dst)
{
	uint64_t b = buffer(ctx), s = draft(ctx);
	uint64_t cnt = (uint32_t)type == 1 ? 6 : (uint32_t)type == 32 ? 20 : 0;
	if (!cnt) {
		set_fault(ctx, WIRE_FAULT_ILLOP, type);
		return finish(ctx, dst, 0);
	}
	if (!read_bytes(ctx, b, addr, cnt))
		return finish(ctx, dst, 0);
	volatile uint8_t *from = at(b), *to = at(s);
	for (uint64_t i = 0; i < 20 && i < cnt; i++) {
		uint8_t v = from[i];
		to[3 * i] = hex(v >> 4);
		to[3 * i + 1] = hex(v & 15);
		to[3 * i + 2] = ':';
	}
	return finish(ctx, dst, 3 * cnt - 1);
}

GLOBAL uint64_t rtk_bswap(uint64_t ctx, uint64_t v, uint64_t bytes)
{
	return ctx ? __builtin_bswap64(v) >> ((64 - 8 * bytes) & 63) : 0;
}

/* ---- what changes the process ---- */

GLOBAL uint64_t rtk_copyoutstr(uint64_t ctx, uint64_t s, uint64_t to, uint64_t max)
{
	struct text t = text_of(ctx, s);
	uint64_t n = capped(t.len + 1 < max ? t.len + 1 : max, 65536);
	if (n && k_write_user((void *)to, at(t.s), (uint32_t)n))
		set_fault(ctx, WIRE_FAULT_BADADDR, to);
	return 0;
}

#define COPYOUT_PIECE 32
#define COPYOUT_MAX (64 * COPYOUT_PIECE)

/* A piece at a time, by a buffer of the context. */
GLOBAL uint64_t rtk_copyout(uint64_t ctx, uint64_t from, uint64_t to, uint64_t bytes)
{
	if (bytes > COPYOUT_MAX) {
		set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
		return 0;
	}
	for (uint64_t done = 0, i = 0; i < COPYOUT_MAX / COPYOUT_PIECE && done < bytes; i++, done += COPYOUT_PIECE) {
		uint64_t n = capped(bytes - done, COPYOUT_PIECE);
		if (rtk_read(ctx, buffer(ctx), from + done, n)) {
			set_fault(ctx, WIRE_FAULT_BADADDR, from + done);
			break;
		}
		if (n && k_write_user((void *)(to + done), at(buffer(ctx)), (uint32_t)n)) {
			set_fault(ctx, WIRE_FAULT_BADADDR, to + done);
			break;
		}
	}
	return 0;
}

GLOBAL uint64_t rtk_raise(uint64_t ctx, uint64_t sig)
{
	if (!sig || sig > 64 || k_signal((uint32_t)sig))
		set_fault(ctx, WIRE_FAULT_ILLOP, sig);
	return 0;
}

GLOBAL uint64_t rtk_stop(uint64_t ctx)
{
	return rtk_raise(ctx, 19);
}

/* Loops inside loops, because each is bounded where it is verified: together 134 million looks at the clock, which take
 * longer than the half second that is allowed.  1: @end_ns has been reached. */
#define CHILL_TURNS 512

GLOBAL uint64_t rtk_chill_turn(uint64_t end_ns)
{
	for (int i = 0; i < CHILL_TURNS; i++)
		if (k_ktime() >= end_ns)
			return 1;
	return 0;
}

GLOBAL uint64_t rtk_chill_round(uint64_t end_ns)
{
	for (int i = 0; i < CHILL_TURNS; i++)
		if (rtk_chill_turn(end_ns))
			return 1;
	return 0;
}

INLINE bool chill_allowed(struct wire_thread *thr, uint64_t now, uint64_t ns)
{
	if (now - thr->chill_since_ns >= WIRE_CHILL_WINDOW_NS) {
		thr->chill_since_ns = now;
		thr->chill_ns = 0;
	}
	if (ns > WIRE_CHILL_MAX_NS || thr->chill_ns > WIRE_CHILL_MAX_NS - ns)
		return false;
	thr->chill_ns += ns;
	return true;
}

GLOBAL uint64_t rtk_chill(uint64_t ctx, uint64_t ns)
{
	uint64_t start = k_ktime();
	if (!chill_allowed(thr_of(ctx), start, ns)) {
		set_fault(ctx, WIRE_FAULT_ILLOP, ns);
		return 0;
	}
	for (int i = 0; i < CHILL_TURNS; i++)
		if (rtk_chill_round(start + ns))
			break;
	return 0;
}

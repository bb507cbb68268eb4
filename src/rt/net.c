/* SPDX-License-Identifier: MIT */
/* Addresses of networks as text, and the order of bytes. */
#include "rt/helpers.h"

#define AF_INET 2
#define AF_INET6 10
#define ARPHRD_ETHER 1
#define ARPHRD_INFINIBAND 32
#define TEXT_MAX 64

/* Text under construction: the longest is 20 bytes in hexadecimal with colons. */
struct text {
	char s[TEXT_MAX];
	uint32_t len;
};

static void put_char(struct text *t, char c)
{
	if (t->len < TEXT_MAX)
		t->s[t->len++] = c;
}

static void put_number(struct text *t, uint32_t v, uint32_t base, uint32_t min_digits)
{
	char digits[8];
	uint32_t n = 0;
	for (; v || n < min_digits; v /= base)
		digits[n++] = "0123456789abcdef"[v % base];
	while (n)
		put_char(t, digits[--n]);
}

static void put_ip4(struct text *t, const uint8_t *b)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			put_char(t, '.');
		put_number(t, b[i], 10, 1);
	}
}

static uint32_t group(const uint8_t *b, uint32_t i)
{
	return (uint32_t)b[2 * i] << 8 | b[2 * i + 1];
}

/* The first of the longest runs of zero groups that are two or more. */
static uint32_t zero_run(const uint8_t *b, uint32_t *ret_cnt)
{
	uint32_t best = 8, cnt = 1;
	for (uint32_t i = 0, n; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && !group(b, i + n);)
			n++;
		if (n > cnt) {
			best = i;
			cnt = n;
		}
	}
	*ret_cnt = cnt;
	return best;
}

/* ::a.b.c.d and ::ffff:a.b.c.d; what the run of zeros leaves says which. */
static bool holds_ip4(const uint8_t *b, uint32_t run, uint32_t cnt)
{
	return run == 0 && (cnt == 6 || (cnt == 5 && group(b, 5) == 0xffff));
}

static void put_ip6(struct text *t, const uint8_t *b, bool strict)
{
	uint32_t cnt, run = zero_run(b, &cnt);
	bool ip4 = holds_ip4(b, run, cnt);
	if (ip4 && !strict) {
		put_ip4(t, b + 12);
		return;
	}
	for (uint32_t i = 0; i < (ip4 ? 6 : 8); i++) {
		if (i == run) {
			put_char(t, ':');
			i += cnt - 1;
			if (i == 7)
				put_char(t, ':');
			continue;
		}
		if (i)
			put_char(t, ':');
		put_number(t, group(b, i), 16, 1);
	}
	if (ip4) {
		put_char(t, ':');
		put_ip4(t, b + 12);
	}
}

static void put_link(struct text *t, const uint8_t *b, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		if (i)
			put_char(t, ':');
		put_number(t, b[i], 16, 2);
	}
}

static bool read_bytes(struct rt_ctx *ctx, uint8_t *dst, uint64_t addr, uint32_t cnt)
{
	if (addr && !rt_mem_read(ctx, dst, addr, cnt))
		return true;
	rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return false;
}

static uint64_t finish(struct rt_ctx *ctx, uint64_t dst, const struct text *t)
{
	return rt_str_put(ctx, dst, t->s, t->len);
}

uint64_t rt_inet_ntoa(struct rt_ctx *ctx, uint64_t addr, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct text t = { .len = 0 };
	uint8_t b[4];
	if (read_bytes(ctx, b, addr, sizeof(b)))
		put_ip4(&t, b);
	return finish(ctx, dst, &t);
}

uint64_t rt_inet_ntoa6(struct rt_ctx *ctx, uint64_t addr, uint64_t strict, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text t = { .len = 0 };
	uint8_t b[16];
	if (read_bytes(ctx, b, addr, sizeof(b)))
		put_ip6(&t, b, strict != 0);
	return finish(ctx, dst, &t);
}

uint64_t rt_inet_ntop(struct rt_ctx *ctx, uint64_t family, uint64_t addr, uint64_t dst, uint64_t d)
{
	if ((uint32_t)family == AF_INET)
		return rt_inet_ntoa(ctx, addr, dst, 0, d);
	if ((uint32_t)family == AF_INET6)
		return rt_inet_ntoa6(ctx, addr, 1, dst, d);
	rt_set_fault(ctx, WIRE_FAULT_ILLOP, family);
	return 0;
}

uint64_t rt_link_ntop(struct rt_ctx *ctx, uint64_t type, uint64_t addr, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text t = { .len = 0 };
	uint8_t b[20];
	uint32_t cnt = (uint32_t)type == ARPHRD_ETHER ? 6 : (uint32_t)type == ARPHRD_INFINIBAND ? 20 : 0;
	if (!cnt)
		rt_set_fault(ctx, WIRE_FAULT_ILLOP, type);
	else if (read_bytes(ctx, b, addr, cnt))
		put_link(&t, b, cnt);
	return finish(ctx, dst, &t);
}

uint64_t rt_bswap(struct rt_ctx *ctx, uint64_t v, uint64_t bytes, uint64_t c, uint64_t d)
{
	UNUSED(ctx, c, d);
	return __builtin_bswap64(v) >> (64 - 8 * bytes);
}

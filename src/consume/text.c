/* SPDX-License-Identifier: MIT */
/*
 * A line that is put together before stdio sees it: stdio locks, and reads a
 * format, for every number.
 */
#include "consume/consume_int.h"

#include <string.h>

#define DIGITS_MAX 24 /* of 64 bits, in octal and with a sign */

static const char pairs[] =
	"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

void consume_text_end(struct text *t)
{
	if (t->cnt)
		fwrite_unlocked(t->buf, 1, t->cnt, t->fp);
	t->cnt = 0;
}

static char *room(struct text *t, size_t bytes)
{
	if (sizeof(t->buf) - t->cnt < bytes)
		consume_text_end(t);
	char *p = t->buf + t->cnt;
	t->cnt += (uint32_t)bytes;
	return p;
}

void consume_text_add(struct text *t, const void *s, size_t bytes)
{
	if (bytes <= sizeof(t->buf) / 2) {
		memcpy(room(t, bytes), s, bytes);
		return;
	}
	consume_text_end(t);
	fwrite_unlocked(s, 1, bytes, t->fp);
}

static void add_pad(struct text *t, int64_t cnt, char ch)
{
	for (; cnt > 0; cnt -= 64) {
		size_t n = cnt < 64 ? (size_t)cnt : 64;
		memset(room(t, n), ch, n);
	}
}

void consume_text_str(struct text *t, const char *s, size_t bytes, int width)
{
	int64_t pad = (width < 0 ? -(int64_t)width : width) - (int64_t)bytes;
	if (width > 0)
		add_pad(t, pad, ' ');
	consume_text_add(t, s, bytes);
	if (width < 0)
		add_pad(t, pad, ' ');
}

static char *decimal(char *end, uint64_t n)
{
	for (; n >= 100; n /= 100)
		memcpy(end -= 2, pairs + n % 100 * 2, 2);
	if (n < 10)
		*--end = (char)('0' + n);
	else
		memcpy(end -= 2, pairs + n * 2, 2);
	return end;
}

static char *binary(char *end, uint64_t n, uint32_t shift, const char *digits)
{
	do
		*--end = digits[n & ((1u << shift) - 1)];
	while (n >>= shift);
	return end;
}

/* Zeros stand between the sign and the digits, blanks before both. */
static void add_number(struct text *t, char *at, char *end, bool is_neg, int width, bool zeros)
{
	if (zeros && width > 0) {
		if (is_neg)
			consume_text_add(t, "-", 1);
		add_pad(t, width - is_neg - (end - at), '0');
		consume_text_add(t, at, (size_t)(end - at));
		return;
	}
	if (is_neg)
		*--at = '-';
	consume_text_str(t, at, (size_t)(end - at), width);
}

void consume_text_signed(struct text *t, int64_t n, int width, bool zeros)
{
	char buf[DIGITS_MAX], *end = buf + sizeof(buf);
	add_number(t, decimal(end, n < 0 ? 0 - (uint64_t)n : (uint64_t)n), end, n < 0, width, zeros);
}

void consume_text_unsigned(struct text *t, uint64_t n, char conv, int width, bool zeros)
{
	char buf[DIGITS_MAX], *end = buf + sizeof(buf), *at;
	switch (conv) {
	case 'o': at = binary(end, n, 3, "01234567"); break;
	case 'x': at = binary(end, n, 4, "0123456789abcdef"); break;
	case 'X': at = binary(end, n, 4, "0123456789ABCDEF"); break;
	default: at = decimal(end, n);
	}
	add_number(t, at, end, false, width, zeros);
}

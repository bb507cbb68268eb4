/* SPDX-License-Identifier: MIT */
#include "host/utf8.h"

/* As its first byte has it; 0: none begins so. */
static uint32_t told_len(uint8_t c)
{
	return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

uint32_t host_utf8_len(const uint8_t *s, size_t left)
{
	uint32_t n = left ? told_len(*s) : 0;
	if (!n || n > left)
		return 0;
	for (uint32_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool host_utf8_is_control(const uint8_t *s)
{
	return *s < ' ' || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
}

size_t host_utf8_whole(const char *s, size_t bytes)
{
	for (size_t back = 1; back < 4 && back <= bytes; back++) {
		uint8_t c = (uint8_t)s[bytes - back];
		if ((c & 0xc0) != 0x80)
			return told_len(c) > back ? bytes - back : bytes;
	}
	return bytes;
}

/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629) out of hands that may write anything. */
#ifndef HOST_UTF8_H
#define HOST_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at @s, of @left; 0: it is none. */
uint32_t host_utf8_len(const uint8_t *s, size_t left);
/* Whether that character is one that a terminal obeys: C0, DEL, C1 (U+0080 to U+009F). */
bool host_utf8_is_control(const uint8_t *s);
/* How much of it is left without a character at its end that is cut. */
size_t host_utf8_whole(const char *s, size_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
/* Sites and interned strings: in shared memory, so every offset is checked. */
#include "consume/consume_int.h"

static const struct wire_site nowhere;

const struct wire_site *consume_site_at(const struct consume *c, uint32_t idx)
{
	if (idx >= c->geo.site_cap)
		return &nowhere;
	return (const struct wire_site *)((const uint8_t *)c->shm + c->geo.site_off) + idx;
}

const char *consume_site_str(const struct consume *c, uint32_t off, uint32_t *ret_len)
{
	const uint8_t *strs = (const uint8_t *)c->shm + c->geo.str_off;
	uint32_t dummy;
	if (!ret_len)
		ret_len = &dummy;
	*ret_len = 0;
	if (off % 8 || off + (uint64_t)sizeof(struct wire_str) + 1 > c->geo.str_cap)
		return "";
	const struct wire_str *s = (const struct wire_str *)(strs + off);
	uint32_t len = LOAD_RELAXED(&s->len);
	if (off + (uint64_t)sizeof(*s) + len + 1 > c->geo.str_cap || s->s[len])
		return "";
	*ret_len = len;
	return s->s;
}

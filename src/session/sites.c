/* SPDX-License-Identifier: MIT */
#include "session/session_int.h"

#include <stdlib.h>

struct wire_site *session_site(struct session *s, uint32_t i)
{
	return (struct wire_site *)((uint8_t *)s->shm + s->shm->site_off) + i;
}

uint32_t session_site_add(struct session *s, const struct probe *p, uint64_t addr, enum wire_site_kind kind)
{
	uint32_t i = s->shm->site_cnt;
	if (i >= s->shm->site_cap || (s->opts.site_max && i >= s->opts.site_max))
		return WIRE_NONE;
	struct wire_site site = {
		.addr = addr,
		.func_addr = p ? p->func_addr : addr,
		.prov = intern_add(s->strings, p ? p->prov : "dyntrace"),
		.mod = intern_add(s->strings, p ? p->mod : ""),
		.func = intern_add(s->strings, p ? p->func : ""),
		.name = intern_add(s->strings, p ? p->name : "loader"),
		.probe_id = p ? p->id : 0,
		.kind = (uint16_t)kind,
		.enabled = 1,
		.args = WIRE_NONE,
	};
	if (site.prov == WIRE_NONE || site.mod == WIRE_NONE || site.func == WIRE_NONE || site.name == WIRE_NONE)
		return WIRE_NONE;
	*session_site(s, i) = site;
	if (s->shm->rate_off)
		((struct wire_rate *)((uint8_t *)s->shm + s->shm->rate_off))[i].weight = 1;
	s->shm->site_cnt = i + 1;
	return i;
}

const struct wire_site *session_tool_site(struct session *s, uint32_t probe_id)
{
	for (uint32_t i = 0; i < s->shm->site_cnt; i++)
		if (session_site(s, i)->kind == WIRE_SITE_TOOL && session_site(s, i)->probe_id == probe_id)
			return session_site(s, i);
	return NULL;
}

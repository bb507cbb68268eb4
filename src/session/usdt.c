/* SPDX-License-Identifier: MIT */
/*
 * USDT probes: their places, where the arguments of each are, and semaphores.
 *
 * A semaphore is a 16-bit count in the program's data of those who listen; the
 * program may leave out what only a listener wants (PROVIDER_NAME_ENABLED()).  A session
 * raises each once.  That it did so can be told from the jump at one of its
 * places, which is written and taken back in the same stop: so a forked child's
 * copy, and what a killed tool left, are lowered where that jump is.
 */
#include "session/arm_int.h"

#include <stdlib.h>
#include <string.h>

int usdt_offsets(struct target *t, const struct probe *p, uint32_t *ret, uint32_t cap)
{
	const struct obj_usdt *u;
	uint32_t cnt, n = 0;
	int r = obj_module_usdt(t->obj, p->module, &u, &cnt, NULL);
	for (uint32_t i = 0; !r && i < cnt; i++) {
		if (!probe_usdt_is(p, &u[i]))
			continue;
		uint32_t off = (uint32_t)(u[i].addr - p->func_addr);
		if (n < cap)
			ret[n] = off;
		n++;
	}
	return r ? r : (int)n;
}

static const struct obj_usdt *note_at(struct target *t, const struct probe *p, uint64_t addr)
{
	const struct obj_usdt *u;
	uint32_t cnt;
	if (obj_module_usdt(t->obj, p->module, &u, &cnt, NULL))
		return NULL;
	for (uint32_t i = 0; i < cnt; i++)
		if (u[i].addr == addr && probe_usdt_is(p, &u[i]))
			return &u[i];
	return NULL;
}

/* ---- semaphores ---- */

static int sema_note(struct target *t, uint64_t addr, uint64_t site)
{
	for (uint32_t i = 0; i < t->sema_cnt; i++)
		if (t->semas[i].addr == addr)
			return 0;
	struct sema *more = realloc(t->semas, (t->sema_cnt + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->semas = more;
	more[t->sema_cnt++] = (struct sema){ .addr = addr, .site = site };
	return 0;
}

/* Memory that went with its library is no matter. */
static void count(struct inject *inj, uint64_t addr, int step)
{
	uint16_t v;
	if (inject_read(inj, addr, &v, sizeof(v), NULL) || (step < 0 && !v))
		return;
	v = (uint16_t)(v + step);
	inject_write(inj, addr, &v, sizeof(v), NULL);
}

void semas_raise(struct target *t, uint32_t first)
{
	for (uint32_t i = first; i < t->sema_cnt; i++)
		count(t->inj, t->semas[i].addr, 1);
}

const struct placed *placed_over(const struct target *t, uint64_t addr)
{
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		if (addr - t->placed[i].addr < t->placed[i].bytes)
			return &t->placed[i];
	return NULL;
}

void semas_raise_in(struct target *t, const struct placed *p)
{
	for (uint32_t i = 0; i < t->sema_cnt; i++)
		if (t->semas[i].site - p->addr < p->bytes)
			count(t->inj, t->semas[i].addr, 1);
}

static bool jump_stands(struct inject *inj, const struct placed *p)
{
	uint8_t now[sizeof(p->jump)];
	return !inject_read(inj, p->addr, now, p->jump_bytes, NULL) && !memcmp(now, p->jump, p->jump_bytes);
}

void semas_lower(struct target *t, struct inject *inj)
{
	for (uint32_t i = 0; i < t->sema_cnt; i++) {
		const struct placed *p = placed_over(t, t->semas[i].site);
		if (p && jump_stands(inj, p))
			count(inj, t->semas[i].addr, -1);
	}
}

/* Another place that relies on it, and stays; NULL: there is none. */
static const struct wire_site *other_place(struct target *t, const bool *goes, uint64_t sema)
{
	for (uint32_t i = 0; i < t->s->shm->site_cnt; i++) {
		const struct wire_site *site = session_site(t->s, i);
		const struct placed *p = site->kind == WIRE_SITE_USDT && site->sema == sema && site->enabled ? placed_over(t, site->addr) : NULL;
		if (p && !goes[p - t->placed])
			return site;
	}
	return NULL;
}

void semas_leave(struct target *t, const bool *goes)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->sema_cnt; i++) {
		struct sema s = t->semas[i];
		const struct placed *p = placed_over(t, s.site);
		const struct wire_site *other = p && goes[p - t->placed] ? other_place(t, goes, s.addr) : NULL;
		if (other)
			s.site = other->addr;
		else if (p && goes[p - t->placed]) {
			if (jump_stands(t->inj, p))
				count(t->inj, s.addr, -1);
			continue;
		}
		t->semas[i] = t->semas[n]; /* those that leave gather behind the others */
		t->semas[n++] = s;
	}
	t->sema_cnt = n;
}

void semas_stay(struct target *t, uint32_t was_cnt)
{
	for (uint32_t i = t->sema_cnt; i < was_cnt; i++) {
		struct sema s = t->semas[i];
		const struct placed *p = placed_over(t, s.site);
		if (!p || !jump_stands(t->inj, p))
			continue;
		count(t->inj, s.addr, 1);
		t->semas[i] = t->semas[t->sema_cnt];
		t->semas[t->sema_cnt++] = s;
	}
}

int semas_return(struct target *t, const struct placed *p, uint32_t site_cnt)
{
	uint32_t first = t->sema_cnt;
	int r = 0;
	for (uint32_t i = 0; i < site_cnt && !r; i++) {
		const struct wire_site *site = session_site(t->s, i);
		if (site->kind == WIRE_SITE_USDT && site->sema && site->enabled && site->addr - p->addr < p->bytes)
			r = sema_note(t, site->sema, site->addr);
	}
	semas_raise(t, first);
	return r;
}

/* ---- sites ---- */

int usdt_site_args(struct target *t, const struct probe *p, struct wire_site *site, struct wire_uargs *ret, struct err *reterr)
{
	const struct obj_usdt *u = note_at(t, p, site->addr);
	*ret = (struct wire_uargs){ .cnt = 0 };
	if (!u)
		return 0;
	obj_usdt_args(t->obj, p->module, u, ret);
	site->args = intern_bytes(t->s->strings, ret, sizeof(*ret));
	if (site->args == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "no room for the arguments of so many probes: ask for fewer");
	site->sema = u->sema;
	return 0;
}

int usdt_site(struct target *t, const struct probe *p, struct wire_site *site, struct err *reterr)
{
	struct wire_uargs args;
	int r = usdt_site_args(t, p, site, &args, reterr);
	return !r && site->sema && sema_note(t, site->sema, site->addr) ? job_no_memory(reterr) : r;
}

/* What the dead tool's table of sites says. How many there are only the tool knew; what follows them is zero. */
void semas_gather(struct target *t, struct target *ghost)
{
	struct wire_shm shm;
	if (!ghost->shm_addr || target_read(t, ghost->shm_addr, &shm, sizeof(shm)) || shm.magic != WIRE_MAGIC ||
	    shm.version != WIRE_VERSION)
		return;
	for (uint32_t i = 0; i < shm.site_cap; i++) {
		struct wire_site site;
		if (target_read(t, ghost->shm_addr + shm.site_off + i * sizeof(site), &site, sizeof(site)) || !site.enabled)
			return;
		if (site.kind == WIRE_SITE_USDT && site.sema && placed_over(ghost, site.addr))
			sema_note(ghost, site.sema, site.addr);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A library that is unloaded takes our jumps along; trampolines, sites and
 * probes stay.  When it is loaded again to the same place, only the jumps have to
 * be written again.
 */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whether the code is as it was before it was armed. */
static bool is_bare(struct target *t, const struct placed *p)
{
	uint8_t now[PATCH_WINDOW_MAX];
	return p->mod && p->mod->end && !target_read(t, p->addr, now, p->bytes) && !memcmp(now, p->old, p->bytes);
}

static uint32_t collect(struct target *t, struct edit *ret)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->placed_cnt; i++) {
		const struct placed *p = &t->placed[i];
		if (!is_bare(t, p))
			continue;
		ret[n++] = (struct edit){ p->addr, p->jump_bytes, p->jump_bytes, p->old, p->jump,
					  edits_phase(p->jump[0], p->bytes, false) };
		if (p->hole_addr)
			ret[n++] = (struct edit){ p->hole_addr, sizeof(p->hole_new), sizeof(p->hole_old), p->hole_old, p->hole_new };
	}
	return n;
}

int text_reapply(struct target *t, struct err *reterr)
{
	struct edit *e = malloc((2ul * t->placed_cnt + 1) * sizeof(*e));
	const struct edit *miss;
	if (!e)
		return err_setf(reterr, -ENOMEM, "out of memory");
	uint32_t n = collect(t, e);
	int r = n ? target_stop(t, reterr) : 0;
	/* Its counts are new, too. */
	for (uint32_t i = 0; i < t->placed_cnt && n && !r && t->sema_cnt; i++)
		if (is_bare(t, &t->placed[i]))
			semas_raise_in(t, &t->placed[i]);
	if (n && !r)
		r = edits_apply(t->inj, e, n, true, &miss, reterr);
	if (n && !r)
		r = inject_sync_core(t->inj, reterr);
	if (n)
		target_go(t);
	free(e);
	return r;
}

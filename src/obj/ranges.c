/* SPDX-License-Identifier: MIT */
/* Where code begins and ends: FDEs and symbols together. */
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_cold_name(const char *name)
{
	const char *at = strstr(name, ".cold");
	return at && (at[5] == 0 || at[5] == '.');
}

static struct obj_range of_fde(const struct obj_mod *m, const struct obj_fde *f)
{
	return (struct obj_range){ .start = f->start + m->pub.bias, .end = f->end + m->pub.bias,
		.kind = f->is_plt ? OBJ_RANGE_PLT : f->is_cold ? OBJ_RANGE_COLD : OBJ_RANGE_FUNC, .has_fde = true };
}

static struct obj_range of_sym(const struct obj_sym *s)
{
	return (struct obj_range){ .start = s->addr, .end = s->addr + s->bytes, .has_sym = true,
		.kind = is_cold_name(s->name) ? OBJ_RANGE_COLD : OBJ_RANGE_FUNC };
}

/* Both are sorted.  FDEs first: of those that begin together they know best where the code ends. */
static uint32_t fill(const struct obj_mod *m, struct obj_range *r)
{
	uint32_t n = 0, f = 0, s = 0;
	while (f < m->frames.fde_cnt || s < m->sym_cnt) {
		bool is_fde = f < m->frames.fde_cnt && (s == m->sym_cnt || m->frames.fdes[f].start + m->pub.bias <= m->syms[s].addr);
		r[n++] = is_fde ? of_fde(m, &m->frames.fdes[f]) : of_sym(&m->syms[s]);
		f += is_fde;
		s += !is_fde;
	}
	return n;
}

/* One per start. */
static uint32_t merge(struct obj_range *r, uint32_t cnt)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (!n || r[n - 1].start != r[i].start) {
			r[n++] = r[i];
			continue;
		}
		struct obj_range *to = &r[n - 1];
		to->has_sym |= r[i].has_sym;
		if (r[i].kind == OBJ_RANGE_COLD && to->kind == OBJ_RANGE_FUNC)
			to->kind = OBJ_RANGE_COLD;
		if (!to->has_fde && r[i].end > to->end)
			to->end = r[i].end;
	}
	return n;
}

static void mark_labels(struct obj_range *r, uint32_t cnt)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (!r[i].has_fde && r[i].start < end)
			r[i].kind = OBJ_RANGE_LABEL;
		else if (r[i].end > end)
			end = r[i].end;
	}
}

int obj_module_ranges(struct obj_proc *p, struct obj_module *mod, const struct obj_range **ret, uint32_t *ret_cnt,
		      struct err *reterr)
{
	struct obj_mod *m = obj_mod(mod);
	if (!m->has_ranges) {
		const struct obj_sym *syms;
		uint32_t cnt;
		int rc = obj_module_syms(p, mod, &syms, &cnt, reterr);
		if (rc)
			return rc;
		m->ranges = malloc((m->frames.fde_cnt + m->sym_cnt + 1ULL) * sizeof(*m->ranges));
		if (!m->ranges)
			return err_setf(reterr, -ENOMEM, "no memory for the functions of %s", mod->path);
		cnt = fill(m, m->ranges);
		m->range_cnt = merge(m->ranges, cnt);
		mark_labels(m->ranges, m->range_cnt);
		obj_ranges_mark_fragments(p, m, m->ranges, m->range_cnt);
		m->has_ranges = true;
	}
	*ret = m->ranges;
	*ret_cnt = m->range_cnt;
	return 0;
}

const struct obj_range *obj_range_at(struct obj_proc *p, struct obj_module *mod, uint64_t addr)
{
	const struct obj_range *r;
	uint32_t cnt;
	if (obj_module_ranges(p, mod, &r, &cnt, NULL))
		return NULL;
	uint32_t after = HOST_FIRST(r, cnt, start, addr + 1);
	while (after && r[after - 1].kind == OBJ_RANGE_LABEL)
		after--;
	return after && addr < r[after - 1].end ? &r[after - 1] : NULL;
}
